"""The store is in etcd and the control plane's own disk is full, from one restart to the next: it starts, issues
certificates and takes changes, and its signer still refuses a store that has gone back in time.

    etcd1 ---- control (state_dir on a small tmpfs, full) --- router --- client [sidecar]

Rows: I11."""

import os

from handfast_harness import Mesh, expect, expect_eq, expect_in, identity_of, needs_earlier, wait_until
from handfast_harness.control_plane import CONTROL_UID
from handfast_harness.etcd import Etcd
from handfast_harness.small_disk import SmallDisk

DEADLINE_S = 240
STARTS = 3


def arrange(story):
    mesh = story.mesh = Mesh(story, hosts=("client",), outsiders=("etcd1",), leaf_ttl="6s", start=False)
    story.etcd = Etcd(story, [mesh.net.hosts["etcd1"]]).start()
    story.control = mesh.control
    story.control.configure({"store": story.etcd.settings()})
    story.disk = story.own(SmallDisk(story.control.state, CONTROL_UID, "3m"))
    mesh.start()
    story.client = mesh.sidecar("client")
    story.client.wait_for_rotation()


def _mark(story):
    return [int(number) for number in open(os.path.join(story.control.state, "keys", "epoch")).read().split()]


def _kill_and_fill(story):
    story.control.kill()
    story.disk.fill()  # the files that it had open are released now


def _start_again(story):
    """On a full disk. Its ports are open before its start has a mark, without which nothing of it is to be remembered."""
    before = _mark(story)
    _kill_and_fill(story)
    story.control.start()
    wait_until("a mark of this start", lambda: _mark(story)[0] > before[0], 20)


def finding_i11_it_starts_again_and_again_and_issues_certificates(story):
    for _ in range(STARTS):
        _start_again(story)
        story.client.wait_for_rotation(deadline_s=30)
        wait_until("readiness of the client", lambda: story.client.probe()[0] == 200)  # its certificate may have ended meanwhile
        story.control.run("ban", identity_of("thief"))  # etcd has room
        story.control.run("unban", identity_of("thief"))


def shows_that_a_sidecar_enrolls(story):
    _start_again(story)
    before = story.client.serial()
    story.client.stop()
    for name in os.listdir(story.client.state):
        os.unlink(os.path.join(story.client.state, name))
    story.control.token(identity_of("client"), path=story.client.token)
    story.client.start()
    expect(story.client.serial() != before, "no other certificate")


@needs_earlier
def shows_that_an_etcd_that_was_set_back_is_still_refused(story):
    """The marks of the starts on the full disk count."""
    snapshot = os.path.join(story.etcd.folder, "snapshot")
    story.etcd.snapshot(snapshot)
    for _ in range(2):
        _start_again(story)
    story.control.kill()
    story.etcd.restore(snapshot)
    process = story.control.launch()
    expect_eq(process.wait_for_exit(20), 65, "its exit code (%s)" % process.log()[-400:])
    expect_in("gone back in time", process.log(), "its log")
    left = sorted(os.listdir(os.path.join(story.control.state, "keys")))
    expect(not [name for name in left if name.endswith(".new")], "half-written files are left: %s" % left)


@needs_earlier
def shows_that_lost_audit_lines_are_counted_when_there_is_room(story):
    path = os.path.join(story.control.state, "store", "audit.log")
    story.disk.free()
    done = story.control.host.run([story.control._binary, "restore", "--config", story.control.path], uid=CONTROL_UID, check=False)
    expect_eq(done.returncode, 0, "exit code of restore (%s)" % done.stderr)
    story.control.start()
    story.client.wait_for_rotation(deadline_s=40)
    wait_until("lines of the audit log", lambda: "renewed" in open(path).read()[-4000:], 20)
    expect_eq(story.control.run("audit", "verify", path).returncode, 0, "exit code of audit verify")
