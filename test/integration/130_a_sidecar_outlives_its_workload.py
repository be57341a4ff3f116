"""A draining sidecar serves both directions until its workload has ended; signals and two settings determine when it
ends.

    client: [sidecar: drained, then ended] -> echo  ==tunnel==  server: [sidecar] -> echo

Rows: P5."""

import signal
import time

from handfast_harness import Mesh, StreamServer, expect, expect_eq, needs, wait_until
from handfast_harness import stream

DEADLINE_S = 120
WORKLOAD_ENDS_IN_S = 5.0  # after the pod's SIGTERM; below drain_minimum's default of 8 s


def arrange(story):
    # The default of drain_minimum on the client; nothing else is open there at its SIGTERM.
    story.mesh = Mesh(story, leaf_ttl="1h", sidecars={"client": {"drain_minimum": None}})
    for name in ("client", "server"):
        story.own(StreamServer(story, story.mesh.net.hosts[name], 9000, "echo"))
    story.client = story.mesh.sidecar("client")


def _both_ways(story, when):
    hosts = story.mesh.client, story.mesh.server
    for source, destination in (hosts, hosts[::-1]):
        with source.connect(destination.ipv4, 9000, uid=1000) as sock:
            sock.sendall(b"hello")
            expect_eq(stream.receive_exactly(sock, 5), b"hello", "a new connection from %s %s" % (source.name, when))


def finding_p5_drain_never_ends_the_process(story):
    _both_ways(story, "before the drain")
    expect_eq(story.client.command("drain"), "draining\n", "answer to drain")
    expect_eq(story.client.probe(), (503, "draining"), "readiness")
    wait_until("the tunnels to be draining", lambda: all(
        tunnel["draining"] for tunnel in story.client.admin("/tunnels")["tunnels"]), 5)
    end = time.monotonic() + 2.0
    while time.monotonic() < end:  # release 0.1.0 ended after 0.5 s
        _both_ways(story, "while draining")
    expect_eq(story.client.command("drain"), "draining\n", "answer to a second drain")
    expect_eq(story.client.process.exit_code, None, "exit code of the draining sidecar")


def finding_p5_sigterm_with_nothing_open_serves_a_workload_that_takes_five_seconds(story):
    wait_until("nothing to be open", lambda: story.client.admin("/connections")["total"] == 0, 15)
    start = time.monotonic()
    story.client.process.signal(signal.SIGTERM)
    while time.monotonic() < start + WORKLOAD_ENDS_IN_S:
        time.sleep(0.25)  # duration: nothing is open in between, as in a workload that shuts down
        _both_ways(story, "%.1f s after SIGTERM" % (time.monotonic() - start))
    expect_eq(story.client.process.wait_for_exit(8), 0, "exit code")
    expect(8.0 <= time.monotonic() - start < 12.0, "it ended after %.1f s, not soon after drain_minimum (8 s)" %
           (time.monotonic() - start))


@needs(finding_p5_sigterm_with_nothing_open_serves_a_workload_that_takes_five_seconds)
def finding_p5_open_connections_are_served_to_the_deadline_and_a_second_sigterm_ends_at_once(story):
    server = story.mesh.sidecar("server")
    story.client.start()
    with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000) as live:
        live.sendall(b"before")
        expect_eq(stream.receive_exactly(live, 6), b"before", "echo")
        server.process.signal(signal.SIGTERM)
        server.process.wait_for_log("ending when no connection is open")
        live.sendall(b"after")
        expect_eq(stream.receive_exactly(live, 5), b"after", "echo of a connection through the ending sidecar")
        server.process.signal(signal.SIGTERM)
        expect_eq(server.process.wait_for_exit(3), 0, "exit code after the second SIGTERM")
        expect_eq(stream.receive_all(live)[0], b"", "bytes after the end")


@needs(finding_p5_open_connections_are_served_to_the_deadline_and_a_second_sigterm_ends_at_once)
def finding_p5_at_a_sigterm_after_its_workload_it_ends_at_once(story):
    """As a native sidecar of Kubernetes: drain as the preStop hook, drain_minimum 0, SIGTERM after the workload."""
    server = story.mesh.sidecar("server").start()
    server.command("drain")
    start = time.monotonic()
    server.process.signal(signal.SIGTERM)
    expect_eq(server.process.wait_for_exit(4), 0, "exit code")
    expect(time.monotonic() - start < 3.0, "it took %.1f s" % (time.monotonic() - start))
