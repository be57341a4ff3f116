"""An upgrade is refused outside the network namespace of the running sidecar, whose admin socket is a path that others see;
and it leaves no socket file that no process serves

    client: [sidecar] ==tunnel==> server: [sidecar] -> echo
    other (no sidecar): handfast-sidecar upgrade, run --take-over"""

import os

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, settings, stream, wait_until
from handfast_harness.control_plane import SIDECAR_UID

DEADLINE_S = 180


def arrange(story):
    story.mesh = Mesh(story, outsiders=("other",), leaf_ttl="1h")
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    story.server = story.mesh.sidecar("server")


def _passes(story):
    with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000) as sock:
        sock.sendall(b"hello")
        expect_eq(stream.receive_exactly(sock, 5), b"hello", "the echo")


def shows_that_it_is_refused_and_changes_nothing(story):
    _passes(story)
    pid = story.server.process.pid
    for command in (["upgrade"], ["run", "--take-over"]):
        done = story.mesh.other.run([story.binary("handfast-sidecar"), *command, "--config", story.server.path],
                                    uid=SIDECAR_UID, check=False)
        expect(done.returncode != 0, "%s succeeds: %s" % (command, done.stdout))
        expect_in("the running sidecar listens in another network namespace; expected: ", done.stdout + done.stderr,
                  "what %s prints" % command)
        expect_in("fix: run it in the network namespace of the running sidecar", done.stdout + done.stderr, "and its fix")
        expect_eq(story.server.listening_pid(), pid, "the process that listens")
        _passes(story)
    expect_eq(story.server.process.exit_code, None, "the exit code of the running sidecar")


def shows_that_an_upgrade_in_its_namespace_still_works(story):
    expect_eq(story.server.upgrade().wait_for_exit(10), 0, "exit code of the former process")
    _passes(story)


def _is_served(story, path):
    with story.mesh.server.connect_unix(path, uid=SIDECAR_UID, gid=SIDECAR_UID):
        return True


def _with_api(story, name):
    path = os.path.join(story.server.folder, "run", name)
    return path, settings.merge(story.server.settings, {"workload_api": {"socket": path, "uids": ["any"]}})


def shows_that_a_failed_upgrade_leaves_no_file_of_its_own(story):
    """And keeps the file that the running process serves."""
    mine, with_mine = _with_api(story, "mine.sock")
    other, with_other = _with_api(story, "other.sock")
    empty, path = os.path.join(story.server.folder, "empty"), os.path.join(story.server.folder, "other.yaml")
    os.makedirs(empty, mode=0o700)
    os.chown(empty, SIDECAR_UID, SIDECAR_UID)
    settings.write(story.server.path, with_mine)
    story.server.upgrade().wait_for_exit(10)
    for given in (with_other, with_mine):
        settings.write(path, settings.merge(given, {
            "state_dir": empty, "control": {"address": "192.0.2.99:15012"}, "identity": {"keep_svid": False}}))
        late = story.server.prepare("--timeout", "4s", path=path)  # its socket is there for so long
        late.wait_for_log("preparing to take over")
        wait_until("its socket", lambda: given is with_mine or os.path.exists(other), 5, 0.01)
        expect(late.wait_for_exit(20) not in (0, None), "it claims to have taken over")
        expect(not os.path.exists(other), "the file of a process that has failed stays")
        expect(_is_served(story, mine), "the file of the process that serves is gone")


def shows_that_the_file_goes_with_the_setting(story):
    """The former process removes what the next one has not taken; the same at an ordinary end."""
    mine, with_mine = _with_api(story, "mine.sock")
    settings.write(story.server.path, with_mine)
    story.server.upgrade().wait_for_exit(10)
    old = story.server.upgrade()
    expect_eq(old.wait_for_exit(10), 0, "exit code of the former process")
    expect(_is_served(story, mine), "the file that the next process serves is gone")
    settings.write(story.server.path, story.server.settings)
    old = story.server.upgrade()
    wait_until("the file to be removed", lambda: not os.path.exists(mine), 10)
    expect_eq(old.wait_for_exit(10), 0, "exit code of the former process")
    expect(_is_served(story, story.server.settings["admin_socket"]), "the admin socket is gone")
    story.server.stop()
    expect(not os.path.exists(story.server.settings["admin_socket"]), "the admin socket's file stays")
    story.server.start()
