"""The mesh survives restarts of either side; SIGTERM drains: open connections are served until they end.

    control (restarted) --- router --- client: [sidecar] ==tunnel==> server: [sidecar (drained, killed)] -> echo"""

import os
import signal

from handfast_harness import Mesh, StreamServer, expect_eq, needs, wait_until
from handfast_harness import stream
from handfast_harness.load import Load


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h")
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    story.server = story.mesh.sidecar("server")


def _connect(story):
    return story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000)


def _passes(sock, data):
    sock.sendall(data)
    expect_eq(stream.receive_exactly(sock, len(data)), data, "echo")


def shows_that_a_restart_of_the_control_plane_affects_no_connection(story):
    with Load(story.mesh.client, story.mesh.server.ipv4, 9000, num_clients=10) as load:
        load.wait_for_requests()
        expect_eq(story.mesh.control.stop(), 0, "exit code of the control plane")
        load.wait_for_requests()
        story.mesh.control.start()
        for sidecar in story.mesh.sidecars.values():
            wait_until("%s to be connected again" % sidecar.name,
                       lambda: sidecar.metric("handfast_control_plane_connected") == 1, 10, 0.1)
        load.wait_for_requests()
    expect_eq(load.failures, [], "failures")


def shows_that_sigterm_drains(story):
    with _connect(story) as live:
        _passes(live, b"before")
        story.server.process.signal(signal.SIGTERM)
        wait_until("readiness to end", lambda: story.server.probe()[0] == 503, 5)
        _passes(live, b"while draining")
        with _connect(story) as late:
            _passes(late, b"a new one while the workload runs")
        expect_eq(story.server.process.exit_code, None, "exit code of the draining sidecar")
    expect_eq(story.server.process.wait_for_exit(10), 0, "exit code after the last connection")


@needs(shows_that_sigterm_drains)
def shows_that_it_enrolls_again_by_its_own_key_without_the_token(story):
    os.unlink(story.server.token)
    story.server.start()
    with _connect(story) as sock:
        _passes(sock, b"again")


def shows_that_a_crash_is_a_reset_and_never_plaintext(story):
    live = _connect(story)
    _passes(live, b"before")
    story.server.kill()
    expect_eq(stream.receive_all(live), (b"", "reset"), "a connection through the crashed sidecar")
    live.close()
    expect_eq(stream.attempt(story.mesh.client, story.mesh.server.ipv4, 9000, b"x"), (b"", "reset"), "a new connection")
    story.mesh.sidecar("client").wait_for_access(reason="connect_refused")
    story.server.start()
    with _connect(story) as sock:
        _passes(sock, b"after the crash")
