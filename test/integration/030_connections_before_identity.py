"""Connections that are opened before there is an identity are refused, then held, then served: never sent in plaintext.

    control (starts last) --- router --- client: app -> [rules] [sidecar without identity] ... -> server"""

import concurrent.futures
import os

from handfast_harness import Capture, Mesh, Nginx, expect, expect_eq, expect_in, needs
from handfast_harness import stream

DEADLINE_S = 120
MARKER = b"marker-before-identity\n"


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h", start=False)
    story.mesh.start_control()
    story.own(Nginx(story, story.mesh.server, 80, {"marker": MARKER}))
    story.mesh.start_sidecar("server")
    story.client = story.mesh.make_sidecar("client").intercept()
    story.mesh.control.stop()


def _get(story, timeout_s):
    return story.mesh.client.http("http://%s:80/marker" % story.mesh.server.ipv4, uid=1000, timeout_s=timeout_s)


def shows_that_with_rules_and_no_sidecar_connections_are_refused(story):
    with Capture(story, story.mesh.net.router, "to-client") as wire:
        try:
            _get(story, 2)
            expect(False, "a connection was served without a sidecar")
        except ConnectionRefusedError:
            pass
    expect_eq(wire.ports(), set(), "ports that were dialed on the wire")


def shows_that_without_identity_they_are_held_then_served(story):
    story.client.configure({"timeouts": {"resolve": "30s"}})  # the control plane has to start, and the sidecar to enroll
    story.client.launch().wait_for_port(15001)
    story.client.process.wait_for_port(15020)  # the probes' port opens after the workers' own
    expect_eq(story.client.probe()[0], 503, "readiness without an identity")
    with Capture(story, story.mesh.net.router, "to-client") as wire, \
            concurrent.futures.ThreadPoolExecutor(20) as pool:
        parked = [pool.submit(_get, story, 40) for _ in range(20)]
        story.client.process.wait_until("20 held connections", lambda: story.client.metric(
            'handfast_connections_active{direction="outbound"}') == 20)
        expect(not any(one.done() for one in parked), "a connection did not wait for the identity")
        story.mesh.start_control()
        expect_eq([one.result() for one in parked], [(200, MARKER)] * 20, "answers")
    expect(not wire.contains(MARKER.strip()), "the marker crossed the wire in plaintext")
    story.client.wait_until_ready()


@needs(shows_that_without_identity_they_are_held_then_served)
def shows_that_holding_ends_with_a_reason(story):
    story.client.stop()
    story.mesh.control.stop()
    for name in ("identity", "destinations"):  # what a restart in an outage would go on with
        os.unlink(os.path.join(story.client.state, name))
    story.client.configure({"timeouts": {"resolve": "5s"}})  # the default
    story.client.launch().wait_for_port(15001)
    with story.mesh.client.connect(story.mesh.server.ipv4, 80, uid=1000, timeout_s=12) as sock:
        expect_eq(stream.receive_all(sock), (b"", "reset"), "a connection without an identity to serve it")
    line = story.client.wait_for_access(reason="no_policy")
    expect_in("control plane", line["detail"]["fix"], "what to do")
    expect(4500 <= line["duration_ms"] <= 7000, "it was held %d ms" % line["duration_ms"])
