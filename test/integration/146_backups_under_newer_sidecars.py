"""A backup is made while the control plane runs. Each older backup is restored under sidecars that saw more: a rotation
of the root, a ban, a revocation. Each of them goes on, and nothing that was withdrawn comes back.

    control --- router --- saw1, saw2, saw3 (killed when they had seen that much), saw4 (runs on) [sidecars]

backup 0 | rotation, saw1, backup 1 | ban, saw2, backup 2 | revocation, saw3, backup 3 | saw4

Rows: I7."""

import contextlib
import fcntl
import json
import os
import subprocess

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, identity_of, needs, wait_until
from handfast_harness import stream
from handfast_harness.control_plane import CONTROL_UID, private_file

DEADLINE_S = 300
THIEF = identity_of("thief")


def arrange(story):
    story.mesh = Mesh(story, hosts=("saw1", "saw2", "saw3", "saw4"), leaf_ttl="1h")
    story.control = story.mesh.control
    story.own(StreamServer(story, story.mesh.saw4, 9000, "echo"))
    story.late_token = story.control.token(identity_of("late"))
    story.backups = os.path.join(story.control.folder, "backups")
    os.makedirs(story.backups)
    os.chown(story.backups, CONTROL_UID, CONTROL_UID)
    story.passphrase = private_file(os.path.join(story.backups, "passphrase"), "a passphrase for a story\n")


def _command(story, *words):
    return story.control.host.run([story.control._binary, *words, "--config", story.control.path,
                                   "--passphrase-file", story.passphrase], uid=CONTROL_UID, check=False)


def _backup(story, number):
    path = os.path.join(story.backups, "backup-%d" % number)
    done = _command(story, "backup", "--to", path)
    expect_eq(done.returncode, 0, "exit code of backup (%s)" % done.stderr)
    expect_eq(os.stat(path).st_mode & 0o7777, 0o600, "mode of the backup")
    expect(THIEF.encode() not in open(path, "rb").read(), "the backup can be read")
    return path


def shows_that_a_second_backup_at_once_is_refused(story):
    folder = os.open(os.path.join(story.control.state, "store"), os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    done = _command(story, "backup", "--to", os.path.join(story.backups, "second"))
    os.close(folder)
    expect(done.returncode != 0 and "is under way" in done.stderr, "a second backup: %s" % done.stderr)
    expect(not os.path.exists(os.path.join(story.backups, "second")), "it has left a file")


def shows_that_a_passphrase_that_others_can_read_is_refused(story):
    os.chmod(story.passphrase, 0o644)
    done = _command(story, "backup", "--to", os.path.join(story.backups, "open"))
    os.chmod(story.passphrase, 0o600)
    expect(done.returncode != 0 and "chmod it to 0600" in done.stderr, "a passphrase for all: %s" % done.stderr)


def _restore(story, number, *words):
    return _command(story, "restore", "--from", os.path.join(story.backups, "backup-%d" % number), *words)


def _seen(sidecar):
    """What the sidecar has on disk of the trust that it uses. It may be away for a moment."""
    return wait_until("what %s keeps" % sidecar.name, lambda: sidecar.kept("identity"))


def _keep_state(sidecar):
    """The sidecar ends here, and its state of this moment can be put back."""
    sidecar.kill()
    subprocess.run(["cp", "-a", sidecar.state, sidecar.state + ".then"], check=True)


def _put_state_back(sidecar):
    sidecar.kill()
    subprocess.run("rm -rf %s && cp -a %s.then %s" % (sidecar.state, sidecar.state, sidecar.state), shell=True, check=True)


def _rotated(story):
    status = json.loads(story.control.run("ca", "status", "--output", "json").stdout)
    return status["phase"] == "none"


def shows_that_backups_are_made_while_the_control_plane_runs(story):
    _backup(story, 0)
    before = _seen(story.mesh.sidecar("saw4"))
    story.control.run("ca", "rotate")
    wait_until("the root to be rotated", lambda: _rotated(story) and _seen(story.mesh.sidecar("saw4")) != before, 30)
    _keep_state(story.mesh.sidecar("saw1"))
    _backup(story, 1)
    story.control.run("ban", THIEF)
    for name in ("saw2", "saw3", "saw4"):
        wait_until("%s to have the ban" % name, lambda: THIEF.encode() in _seen(story.mesh.sidecar(name)), 10)
    _keep_state(story.mesh.sidecar("saw2"))
    _backup(story, 2)
    story.serial = bytes.fromhex(story.mesh.sidecar("saw4").serial())
    story.control.run("revoke", story.serial.hex())
    for name in ("saw3", "saw4"):
        wait_until("%s to have the revocation" % name, lambda: story.serial in _seen(story.mesh.sidecar(name)), 10)
    _keep_state(story.mesh.sidecar("saw3"))
    _backup(story, 3)


@needs(shows_that_backups_are_made_while_the_control_plane_runs)
def shows_that_a_wrong_passphrase_or_a_running_control_plane_changes_nothing(story):
    done = _restore(story, 0)
    expect_eq(done.returncode, 69, "exit code beside a running control plane (%s)" % done.stderr)
    good, story.passphrase = story.passphrase, private_file(story.passphrase + ".wrong", "another passphrase\n")
    done = _restore(story, 0)
    story.passphrase = good
    expect(done.returncode != 0 and "another passphrase" in done.stderr, "a wrong passphrase: %s" % done.stderr)
    content = open(os.path.join(story.backups, "backup-0"), "rb").read()
    for number, place in ((90, 20), (91, len(content) // 2), (92, len(content) - 1)):  # salt, content, tag
        with open(os.path.join(story.backups, "backup-%d" % number), "wb") as file:
            file.write(content[:place] + bytes([content[place] ^ 1]) + content[place + 1:])
        os.chmod(file.name, 0o644)
        done = _restore(story, number)
        expect(done.returncode != 0 and "it was changed" in done.stderr, "byte %d: %s" % (place, done.stderr))
    expect_eq(story.control.run("ban", "list").stdout.count(THIEF), 1, "bans")


def _start_again(story, number, sidecars):
    """The whole state is lost, and one backup is there."""
    story.control.kill()
    subprocess.run(["rm", "-rf", os.path.join(story.control.state, "keys"), os.path.join(story.control.state, "store")],
                   check=True)
    done = _restore(story, number)
    expect_eq(done.returncode, 0, "exit code of restore %d (%s)" % (number, done.stderr))
    for sidecar in sidecars:
        _put_state_back(sidecar)
    story.control.start()
    for sidecar in sidecars:
        sidecar.launch()


def _calls(host, to):
    with contextlib.suppress(OSError), host.connect(to.ipv4, 9000, uid=1000) as sock:
        return stream.exchange(sock, b"hello") == (b"hello", "fin")
    return False


def _is_connected(sidecar):
    return sidecar.is_ready() and sidecar.metric("handfast_control_plane_connected") == 1


@needs(shows_that_backups_are_made_while_the_control_plane_runs)
def finding_i7_each_older_backup_goes_with_each_newer_sidecar(story):
    running = story.mesh.sidecar("saw4")
    process = running.process
    for number in range(4):
        restarted = [story.mesh.sidecar("saw%d" % seen) for seen in range(number + 1, 4)]
        _start_again(story, number, restarted)
        for sidecar in restarted + [running]:
            wait_until("%s with backup %d" % (sidecar.name, number), lambda: _is_connected(sidecar), 40)
        for sidecar in restarted + [running]:
            wait_until("a call of %s with backup %d" % (sidecar.name, number),
                       lambda: _calls(sidecar.host, running.host), 10, 0.1)
        for sidecar in restarted + [running]:
            if sidecar.name != "saw1":
                expect_in(THIEF.encode(), _seen(sidecar), "trust of %s with backup %d" % (sidecar.name, number))
            if sidecar.name in ("saw3", "saw4"):
                expect_in(story.serial, _seen(sidecar), "revocations of %s with backup %d" % (sidecar.name, number))
        expect_eq(story.control.run("token", "list").stdout.count(identity_of("late")), 0, "tokens")
    expect(running.process is process and process.exit_code is None, "the sidecar that ran has ended")


@needs(finding_i7_each_older_backup_goes_with_each_newer_sidecar)
def finding_i7_what_the_present_store_has_withdrawn_is_taken_over(story):
    story.control.run("ban", identity_of("another"))
    story.control.stop()
    audit = open(os.path.join(story.control.state, "store", "audit.log")).read()
    done = _restore(story, 0)
    expect_eq(done.returncode, 0, "exit code of restore (%s)" % done.stderr)
    story.control.start()
    listed = story.control.run("ban", "list").stdout
    expect_in(identity_of("another"), listed, "bans")
    now = wait_until("a line in the audit log", lambda: (lambda text: len(text) > len(audit) and text)(
        open(os.path.join(story.control.state, "store", "audit.log")).read()), 10)
    expect(now.startswith(audit), "the audit log was taken back")
    expect(_former_has(story, "before-restore", "another"), "the former state is not in before-restore")


@needs(finding_i7_what_the_present_store_has_withdrawn_is_taken_over)
def shows_that_a_second_restore_keeps_what_the_first_one_replaced(story):
    """The first backup may have been the wrong one."""
    story.control.token(identity_of("afterwards"))
    for _ in range(2):
        story.control.stop()
        expect_eq(_restore(story, 0).returncode, 0, "exit code of restore")
    story.control.start()
    found = [folder for folder in ("before-restore", "before-restore.1", "before-restore.2") if _former_has(story, folder, "afterwards")]
    expect_eq(found, ["before-restore.2"], "the former states that have the token")


def _former_has(story, folder, name):
    path = os.path.join(story.control.state, folder, "store")
    files = [os.path.join(path, file) for file in os.listdir(path) if file.startswith("control.db")]
    return any(identity_of(name).encode() in open(file, "rb").read() for file in files)
