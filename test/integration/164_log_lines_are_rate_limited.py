"""Frequent failures do not flood the log: each source, identity and reason gets a few lines, then one line that counts
the rest.

    stranger: plaintext to a strict port, TLS without a certificate --> server: [sidecar] -> echo on 9000
    denied: a genuine certificate, 300 streams per second ==tunnel==> the same
    stranger: garbage and handshakes at 15012 --> control

Rows: L8."""

import time

from handfast_harness import Mesh, StreamServer, TestAuthority, expect, expect_eq, identity_of, wait_until
from handfast_harness import fairness, stream
from peers import flood

DEADLINE_S = 300
STREAMS_PORT, KB_PER_SECOND = 15012, 60


def arrange(story):
    story.mesh = Mesh(story, outsiders=("stranger", "denied", "outside"), leaf_ttl="1h", policy={
        "workloads": [{"identity": identity_of("server"), "ports": [{"port": 9001, "mode": "strict"}], "rules": [
            {"name": "no-denied", "action": "deny", "sources": [{"id": identity_of("denied")}]},
            {"name": "all", "action": "allow", "sources": [{"trust_domain": "cluster.local"}]}]}]}, sidecars={
                "server": {"access_log": "failures", "log": {"level": "notice"}}})
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    story.leaf = TestAuthority.of(story.mesh.control).leaf(identity_of("denied"))


def _ask(story):
    with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000, timeout_s=5) as sock:
        sock.sendall(b"request")
        expect_eq(stream.receive_exactly(sock, 7), b"request", "echo")


def _measure(story, process, floods, suppressed):
    """Attacks; the log of `process` must not grow faster than KB_PER_SECOND; returns what it wrote meanwhile."""
    before, started = len(process.log()), time.monotonic()
    fairness.expect_unharmed("lines", {"meshed": lambda: _ask(story)}, lambda: fairness.Attack(*floods),
                             fairness.wait_for_count(500, 30), per_second=30)
    wait_until("the line that counts the rest", lambda: suppressed(process.log()[before:]), 15)
    text = process.log()[before:]
    per_second = len(text) / 1024 / (time.monotonic() - started)
    print("      the log grew by %.1f KB per second" % per_second, flush=True)
    expect(per_second < KB_PER_SECOND, "the log grew by %.0f KB per second" % per_second)
    return text


def finding_l8_the_sidecars_access_log_counts_suppressed_lines(story):
    mesh, server = story.mesh, story.mesh.sidecar("server")
    plain = flood.connections(mesh.stranger, mesh.server.ipv4, 9001, per_second=300, most=50)
    streams = flood.tunnels(mesh.denied, mesh.server.ipv4, story.leaf, per_second=1, most=20, streams=300,
                            authority=mesh.server.ipv4 + ":9000")

    def suppressed(text):
        return all('"suppressed_reason":"%s","of":"%s"' % pair in text for pair in (
            ("plaintext_refused", mesh.stranger.ipv4), ("denied", identity_of("denied"))))
    text = _measure(story, server.process, (plain, streams), suppressed)
    for reason in ("plaintext_refused", "denied"):
        expect(1 <= text.count('"reason":"%s","encrypted"' % reason) <= 50, "%d lines with %s" % (
            text.count('"reason":"%s","encrypted"' % reason), reason))
    expect(server.metric("handfast_access_log_suppressed_lines") > 300, "the suppressed lines are not counted")


def finding_l8_the_control_planes_log_counts_suppressed_lines(story):
    mesh, control = story.mesh, story.mesh.control
    garbage = flood.brief(mesh.stranger, mesh.control.host.ipv4, STREAMS_PORT, b"GET / HTTP/1.1\r\n\r\n",
                          per_second=300)
    text = _measure(story, control.process, (garbage,), lambda text: "more lines about %s" % mesh.stranger.ipv4 in text)
    expect(1 <= text.count("a TLS handshake with " + mesh.stranger.ipv4) <= 50, "lines of failed handshakes")
    expect(control.metrics()["handfast_control_log_suppressed_lines"] > 100, "the suppressed lines are not counted")
