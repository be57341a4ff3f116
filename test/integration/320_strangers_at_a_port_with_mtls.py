"""Hosts that begin handshakes at a port with mutual TLS and never finish them take no descriptor that others need.

    stranger: handshakes without an end from 6 addresses --> 8443 server: [sidecar, 4 workers, 512 descriptors]
    client: [sidecar] ==tunnel==> the same -> echo on 9000
    legacy: TLS with an SVID --> 8443 -> 127.0.0.1:9000           15020 is probed meanwhile

Rows: L14."""

import contextlib
import os

from handfast_harness import Mesh, StreamServer, TestAuthority, expect, expect_eq, identity_of, wait_until
from handfast_harness import fairness, stream
from peers import flood
from peers.tls import Tls

DESCRIPTORS, MTLS, ECHO = 512, 8443, 9000
HANDSHAKES = DESCRIPTORS // 16
BEGUN = b"\x16\x03\x01\x02\x00\x01"  # the first bytes of a ClientHello, of which the rest never comes
DEADLINE_S = 240


def arrange(story):
    mesh = story.mesh = Mesh(story, outsiders=("stranger", "legacy"), leaf_ttl="1h", start=False, sidecars={"server": {
        "workers": 4, "listeners": {"inbound": [{"port": MTLS, "to": "127.0.0.1:%d" % ECHO, "mtls": True}]}}})
    mesh.start_control()
    mesh.start_sidecar("client")
    server = mesh.make_sidecar("server").intercept()
    few = story.folder("few") + "/handfast-sidecar"
    with open(few, "w") as script:
        script.write("#!/bin/sh\nulimit -n %d\nexec %s \"$@\"\n" % (DESCRIPTORS, server._binary))
    os.chmod(few, 0o755)
    server._binary = few
    server.start()
    story.leaf = TestAuthority.of(mesh.control).leaf(identity_of("legacy"))
    story.own(StreamServer(story, mesh.server, ECHO, "echo"))
    story.sources = ["203.0.113.%d" % number for number in range(201, 207)]
    for address in story.sources:
        mesh.net.add_address("stranger", address)


def _ask(story):
    with story.mesh.client.connect(story.mesh.server.ipv4, ECHO, uid=1000, timeout_s=5) as sock:
        sock.sendall(b"request")
        expect_eq(stream.receive_exactly(sock, 7), b"request", "echo")


def _ask_by_mtls(story):
    sock = story.mesh.legacy.connect(story.mesh.server.ipv4, MTLS, timeout_s=5)
    with contextlib.closing(Tls(sock, story.leaf, alpn=())) as session:
        session.handshake().send(b"request")
        expect_eq(session.receive(7), b"request", "echo")


def _probe(story):
    expect_eq(story.mesh.legacy.http("http://%s:15020/healthz/ready" % story.mesh.server.ipv4)[0], 200, "readiness")


def _num_descriptors(story):
    return len(os.listdir("/proc/%d/fd" % story.mesh.sidecar("server").process.pid))


def finding_l14_handshakes_without_an_end_take_no_descriptor_of_others(story):
    server, most = story.mesh.sidecar("server"), []
    attack = flood.connections(story.mesh.stranger, story.mesh.server.ipv4, MTLS, per_second=400, most=2000, first=BEGUN,
                               sources=story.sources)
    _ask(story)
    quiet = _num_descriptors(story)

    def under_way(flood_under_way):
        fairness.wait_for_count(1000, 40)(flood_under_way)
        most.append(_num_descriptors(story))
        expect(most[-1] <= quiet + HANDSHAKES + 32, "%d descriptors, %d before the attack" % (most[-1], quiet))
    text = fairness.expect_unharmed("handshakes without an end", {
        "meshed": lambda: _ask(story), "mutual TLS": lambda: _ask_by_mtls(story), "probe": lambda: _probe(story)},
        lambda: fairness.Attack(attack), under_way, per_second=20, least_p99_s=0.030)
    print("      %d descriptors of %d during the attack, %d before; %s" % (max(most), DESCRIPTORS, quiet, text))
    expect_eq(server.metric("handfast_listener_pauses_total"), 0, "times that accepting paused for lack of descriptors")
    expect(server.metric('handfast_limit_refusals_total{resource="handshakes",limit="address"}') +
           server.metric('handfast_handshake_failures_total{direction="inbound",error="limit"}') > 100,
           "no limit of handshakes was reached")


def finding_l14_the_places_come_back(story):
    server = story.mesh.sidecar("server")
    with fairness.Attack(flood.connections(story.mesh.stranger, story.mesh.server.ipv4, MTLS, per_second=200, most=400,
                                           first=BEGUN, sources=story.sources)):
        wait_until("strangers to be refused",
                   lambda: server.metric('handfast_handshake_failures_total{direction="inbound",error="limit"}') > 0, 30)
    wait_until("a line of the log with the reason", lambda: server.access_log(direction="inbound", reason="limit_reached"))
    _ask_by_mtls(story)
