"""While the control plane is away, sidecars that restart go on with what they had: identity, trust with its bans, policy
and destinations, as long as their SVIDs last. With everything expired a start is as any other.

    control (killed, started again) --- router --- client: [sidecar] ==tunnel==> server: [sidecar] -> echo
                                          |
                                        banned: [sidecar]
"""

import contextlib
import fcntl
import os
import subprocess
import time

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, identity_of, needs, wait_until
from handfast_harness import stream
from handfast_harness.control_plane import SIDECAR_UID
from handfast_harness.sidecar import METRICS

DEADLINE_S = 360


def arrange(story):
    story.mesh = Mesh(story, hosts=("client", "server", "banned"), leaf_ttl="1h",
                      sidecar={"timeouts": {"resolve": "2s"}})
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    story.control = story.mesh.control
    story.client, story.server = story.mesh.sidecar("client"), story.mesh.sidecar("server")


def _call(story, host=None):
    with (host or story.mesh.client).connect(story.mesh.server.ipv4, 9000, uid=1000) as sock:
        return stream.exchange(sock, b"hello")


def _calls(story, host=None):
    with contextlib.suppress(OSError):
        return _call(story, host) == (b"hello", "fin")
    return False


def _restart_by_kill(*sidecars, wait=True):
    for sidecar in sidecars:
        sidecar.kill()
    for sidecar in sidecars:
        sidecar.launch()
    for sidecar in sidecars if wait else ():
        sidecar.wait_until_ready()


def shows_that_sidecars_killed_in_an_outage_go_on_as_before(story):
    expect_eq(_call(story), (b"hello", "fin"), "a call")
    story.control.run("ban", identity_of("banned"))
    for sidecar in (story.client, story.server):
        wait_until("the ban at the " + sidecar.name, lambda: identity_of("banned").encode() in sidecar.kept("identity"), 10)
    wait_until("the destination to be kept", lambda: identity_of("server").encode() in
               story.client.kept("destinations"), 15)
    story.serials = [sidecar.serial() for sidecar in (story.client, story.server)]
    story.control.kill()
    _restart_by_kill(story.client, story.server)
    expect_eq([sidecar.serial() for sidecar in (story.client, story.server)], story.serials, "serials")
    expect_eq(_call(story), (b"hello", "fin"), "a call after both restarts")
    wait_until("the page to have it", lambda: "degraded: control plane unreachable" in story.client.probe()[1])
    expect_eq(story.client.probe()[0], 200, "readiness")
    for name in ("identity", "destinations"):
        expect_eq(os.stat(os.path.join(story.client.state, name)).st_mode & 0o7777, 0o600, "mode of %s" % name)


@needs(shows_that_sidecars_killed_in_an_outage_go_on_as_before)
def shows_that_a_ban_holds_across_the_restart(story):
    expect_eq(stream.attempt(story.mesh.banned, story.mesh.server.ipv4, 9000, b"x"), (b"", "reset"), "a banned call")


@needs(shows_that_sidecars_killed_in_an_outage_go_on_as_before)
def shows_that_all_is_as_before_when_the_control_plane_is_back(story):
    processes = [story.client.process, story.server.process]
    story.control.start()
    for sidecar in (story.client, story.server):
        wait_until("%s to be connected" % sidecar.name,
                   lambda: sidecar.metric("handfast_control_plane_connected") == 1, 10, 0.1)
    expect_eq([sidecar.serial() for sidecar in (story.client, story.server)], story.serials, "serials")
    expect_eq(_call(story), (b"hello", "fin"), "a call")
    story.control.run("unban", identity_of("banned"))
    wait_until("the banned one to call again", lambda: _calls(story, story.mesh.banned),
               70, 0.1)  # one that was refused dials again after up to a minute
    expect_eq(processes, [story.client.process, story.server.process], "the processes")


def shows_that_damaged_files_are_refused_and_nothing_leaks(story):
    _call(story)
    wait_until("the present state to be kept", lambda: story.client.kept("destinations") and (
        lambda identity: identity and identity_of("banned").encode() not in identity)(story.client.kept("identity")), 15)
    story.control.kill()
    story.client.kill()
    for name in ("identity", "destinations"):
        path = os.path.join(story.client.state, name)
        content = bytearray(open(path, "rb").read())
        content[len(content) // 2] ^= 1
        open(path, "r+b").write(content)
    story.client.launch()
    story.client.process.wait_for_log("the identity from before the restart is not used")
    expect_in("checksum does not match", story.client.process.log(), "the log")
    story.client.process.wait_for_port(METRICS)
    expect_eq(story.client.probe()[0], 503, "readiness")
    expect_eq(stream.attempt(story.mesh.client, story.mesh.server.ipv4, 9000, b"x"), (b"", "reset"), "a call")
    story.control.start()
    story.client.wait_until_ready()
    expect_eq(_call(story), (b"hello", "fin"), "a call")


class _Disk:
    """The client's state folder on a disk of its own, small enough to be filled."""

    def __init__(self, story):
        self.path = story.client.state
        content = {name: open(os.path.join(self.path, name), "rb").read() for name in os.listdir(self.path)}
        self._mount("-t", "tmpfs", "-o", "size=256k,mode=0700,uid=%d,gid=%d" % (SIDECAR_UID, SIDECAR_UID), "tmpfs")
        for name, data in content.items():
            path = os.path.join(self.path, name)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                file.write(data)
            os.chown(path, SIDECAR_UID, SIDECAR_UID)

    def _mount(self, *words):
        subprocess.run(["mount", *words, self.path], check=True)

    def fill(self):
        with contextlib.suppress(OSError), open(os.path.join(self.path, "other"), "wb", 0) as file:
            while True:
                file.write(b"x" * 4096)

    def drain(self):
        os.remove(os.path.join(self.path, "other"))

    def remount(self, how):
        self._mount("-o", "remount," + how)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.path], check=True)


def _not_kept(story):
    return next((line for line in story.client.probe()[1].splitlines() if "not kept for a restart" in line), "")


def _ban_and_wait(story, name, expected):
    """A ban is a change that must be kept at once; the calls of the others go on."""
    story.control.run("ban", identity_of(name))
    line = wait_until("the condition", lambda: _not_kept(story), 10, 0.1)
    expect_in(expected, line, "the condition")
    expect(line.startswith("degraded: "), "the condition: " + line)
    expect_eq(story.client.probe()[0], 200, "readiness")
    expect_eq(_call(story), (b"hello", "fin"), "a call")


def shows_that_a_sidecar_goes_on_without_a_disk_and_reports_it(story):
    """Full, read-only, and another's: no file is half-written, and none of before the ban is left that could come back."""
    story.client.stop()
    disk = story.own(_Disk(story))
    story.client.start()
    _call(story)
    wait_until("the destination to be kept", lambda: story.client.kept("destinations"), 15)
    disk.fill()
    _ban_and_wait(story, "while-full", "No space left on device")
    left = set(os.listdir(story.client.state)) - {"other", "attestation.key", "enrolled"}
    expect(not [name for name in left if name.endswith(".new")], "half-written files: %s" % left)
    identity = story.client.kept("identity")  # removed; or written again where that made room
    expect(not identity or identity_of("while-full").encode() in identity, "the identity of before the ban is there")
    disk.drain()
    wait_until("it to be kept again", lambda: not _not_kept(story), 15, 0.1)
    wait_until("the ban to be kept", lambda: identity_of("while-full").encode() in story.client.kept("identity"))
    story.client.process.wait_for_log("is kept again")
    disk.remount("ro")
    _ban_and_wait(story, "while-read-only", "Read-only file system")
    expect_eq(story.client.process.log().count("cannot remove a file that is out of date") <= 2, True, "one line per file")
    disk.remount("rw")
    wait_until("it to be kept again", lambda: not _not_kept(story), 15, 0.1)
    wait_until("the ban to be kept", lambda: identity_of("while-read-only").encode() in story.client.kept("identity"))


@needs(shows_that_a_sidecar_goes_on_without_a_disk_and_reports_it)
def shows_that_one_sidecar_writes_a_folder_and_another_ones_files_are_not_used(story):
    story.client.stop()
    fd = os.open(story.client.state, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(fd, fcntl.LOCK_EX)  # as one that drains still
    before = story.client.kept("identity")
    story.client.start()
    expect_in("another sidecar that runs uses", wait_until("the condition", lambda: _not_kept(story), 10, 0.1), "the condition")
    expect_eq(_call(story), (b"hello", "fin"), "a call")
    expect_eq(story.client.kept("identity"), before, "the file of the other one")
    os.close(fd)
    wait_until("it to be kept", lambda: not _not_kept(story), 15, 0.1)
    story.control.kill()
    story.client.kill()
    os.chown(os.path.join(story.client.state, "identity"), 65534, 65534)
    story.client.launch()
    story.client.process.wait_for_log("the identity from before the restart is not used: cannot open")
    story.client.process.wait_for_port(METRICS)
    expect_eq(story.client.probe()[0], 503, "readiness")
    story.control.start()
    story.client.wait_until_ready()
    story.client.stop()
    os.chown(story.client.state, 65534, 65534)
    expect(story.client.launch().wait_for_exit(10) != 0, "it started with another one's folder")
    expect_in("chown it to the sidecar's user and chmod it to 0700", story.client.process.log(), "the fix")
    os.chown(story.client.state, SIDECAR_UID, SIDECAR_UID)
    story.client.start()


def shows_that_without_keep_svid_no_key_is_on_disk_and_the_policy_still_is(story):
    story.client.settings["identity"]["keep_svid"] = False
    story.client.reload({})
    story.client.restart()
    wait_until("the policy to be kept", lambda: story.client.kept("identity"))
    story.control.kill()
    _restart_by_kill(story.client, wait=False)
    wait_until("the policy to be taken over", lambda: "continuing with the policy" in story.client.process.log(), 10)
    story.client.process.wait_for_port(METRICS)
    expect_in("no identity yet", story.client.probe()[1], "the page")
    story.control.start()
    story.client.wait_until_ready()


def shows_that_a_start_with_everything_expired_is_a_normal_start(story):
    story.control.configure({"identity": {"leaf_ttl": "6s"}})
    story.control.restart()
    sidecars = (story.client, story.server)
    for sidecar in sidecars:
        sidecar.restart()
    story.control.kill()
    ends = max(time.time() + sidecar.identity()["time_to_expiry_seconds"] for sidecar in sidecars)
    for sidecar in sidecars:
        sidecar.kill()
    wait_until("all SVIDs to be over", lambda: time.time() > ends + 0.5, 15)
    for sidecar in sidecars:
        sidecar.launch()
    for sidecar in sidecars:
        sidecar.process.wait_for_log("the kept identity has expired")
    story.control.start()
    began = time.monotonic()
    wait_until("a call", lambda: _calls(story), 10, 0.1)
    expect(time.monotonic() - began < 8, "it took %.1f s" % (time.monotonic() - began))
