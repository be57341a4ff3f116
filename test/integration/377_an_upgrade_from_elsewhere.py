"""An upgrade is refused outside the network namespace of the running sidecar, whose admin socket is a path that others see

    client: [sidecar] ==tunnel==> server: [sidecar] -> echo
    other (no sidecar): handfast-sidecar upgrade, run --take-over"""

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, stream
from handfast_harness.control_plane import SIDECAR_UID


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
