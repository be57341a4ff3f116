"""A tunnel sends GOAWAY in time: before a certificate expires, after a notice that is not acknowledged, while draining,
and when the process ends.

    raw: python3-h2 ==tunnel==> server: [sidecar] -> echo
    client: app -> [sidecar] ==tunnel==> peer: python3-h2 with certificates that are valid for seconds

Rows: I13, L9, T10."""

import datetime
import signal
import time

from handfast_harness import Mesh, StreamServer, TestAuthority, expect, expect_eq, identity_of, wait_until
from handfast_harness import stream
from peers import hbone, tls

DEADLINE_S = 150
WEB = identity_of("web")
LIFE_S = 8


def arrange(story):
    story.mesh = Mesh(story, outsiders=("peer", "raw"), leaf_ttl="1h", start=False,
                      sidecars={"server": {"drain_deadline": "20s"}})
    story.mesh.control.configure(entries=[{"address": story.mesh.peer.ipv4, "identity": WEB}])
    story.mesh.start()
    story.ca = TestAuthority.of(story.mesh.control)
    story.server = story.mesh.sidecar("server")
    story.echo = "%s:9000" % story.mesh.server.ipv4
    story.app = story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    story.leaf = story.ca.leaf(identity_of("client"))


def _short_lived(story, spiffe_id):
    return story.ca.leaf(spiffe_id, life=datetime.timedelta(minutes=5, seconds=LIFE_S))  # valid since 5 minutes ago


def _tunnel(story, identity=None, **options):
    return hbone.Client(story.mesh.raw, story.mesh.server.ipv4, identity or story.leaf, timeout_s=10.0, **options)


def _open(tunnel, authority):
    number = tunnel.request([(":method", "CONNECT"), (":authority", authority)])
    expect_eq(tunnel.wait(number, lambda one: one.status is not None).status, 200, "CONNECT")
    return number


def _passes(tunnel, number, data):
    before = len(tunnel.streams[number].data)
    tunnel.engine.send_data(number, data)
    tunnel.flush()
    got = tunnel.wait(number, lambda one: len(one.data) >= before + len(data))
    expect_eq((got.data[before:], got.ended), (data, None), "echo")


def finding_i13_goaway_comes_seconds_before_the_callers_certificate_expires(story):
    ends = time.monotonic() + LIFE_S
    with _tunnel(story, _short_lived(story, identity_of("client")), ignores=(hbone.GOAWAY,)) as tunnel:
        number = _open(tunnel, story.echo)
        tunnel.wait_for("the notice", lambda: tunnel.goaways)
        left_s = ends - tunnel.goaways[0][2]
        expect(1 < left_s <= 6, "GOAWAY came %.1f s before the end" % left_s)
        expect_eq(tunnel.goaways[0][:2], (hbone.NOTICE, hbone.NO_ERROR), "the notice")
        _passes(tunnel, number, b"the open stream keeps working")
        tunnel.wait_for("the final GOAWAY", lambda: len(tunnel.goaways) == 2)
        expect_eq(tunnel.goaways[1][:2], (number, hbone.NO_ERROR), "the final GOAWAY")


def finding_i13_no_new_connection_is_lost_when_the_servers_certificate_expires(story):
    ends = time.monotonic() + LIFE_S
    with hbone.Server(story.mesh.peer, _short_lived(story, WEB), reply=b"welcome") as peer:
        for number in range(1000):
            with story.mesh.client.connect(story.mesh.peer.ipv4, 80, uid=1000) as sock:
                expect_eq(stream.receive_exactly(sock, 7), b"welcome", "answer of connection %d" % number)
            if peer.goaways:
                break
            time.sleep(0.02)  # duration: the rate of the connections
        expect(peer.goaways, "no GOAWAY")
        left_s = ends - peer.goaways[0][2]
        expect(1 < left_s <= 6, "GOAWAY came %.1f s before the end" % left_s)
        peer.identity = story.ca.leaf(WEB)  # as after a renewal
        with story.mesh.client.connect(story.mesh.peer.ipv4, 80, uid=1000) as sock:
            expect_eq(stream.receive_exactly(sock, 7), b"welcome", "answer")
        expect(peer.handshakes >= 2, "the new connection got no new tunnel")
    reasons = {line["reason"] for line in story.mesh.sidecar("client").access_log()}
    expect(reasons <= {"done", "reset_by_downstream", "reset_by_upstream"}, "reasons: %s" % reasons)  # all had been opened


def finding_l9_and_t10_the_final_goaway_needs_no_ack_and_late_streams_are_refused(story):
    """A tunnel from before the drain, whose peer withholds the ack of the PING, and one that is accepted during it."""
    with _tunnel(story, ignores=(hbone.GOAWAY, hbone.PING)) as tunnel:
        number = _open(tunnel, story.echo)
        story.server.process.signal(signal.SIGTERM)
        tunnel.wait_for("the notice", lambda: tunnel.goaways)
        in_flight = _open(tunnel, story.echo)
        tunnel.wait_for("the final GOAWAY", lambda: len(tunnel.goaways) == 2)
        expect(tunnel.goaways[1][2] - tunnel.goaways[0][2] < 2, "the final GOAWAY came late: %s" % tunnel.goaways)
        expect_eq(tunnel.goaways[1][0], in_flight, "its last stream")
        late = tunnel.request([(":method", "CONNECT"), (":authority", story.echo)])
        answer = tunnel.wait(late, lambda one: one.status is not None)
        expect_eq((answer.status, answer.ended), (None, "reset %d" % hbone.REFUSED_STREAM), "a stream after it")
        _passes(tunnel, number, b"goes on")
        _passes(tunnel, in_flight, b"goes on")
        _accepted_while_draining(story)
    wait_until("the sidecar to end", lambda: story.server.process.exit_code is not None, 30)


def _accepted_while_draining(story):
    with _tunnel(story, ignores=(hbone.GOAWAY,)) as tunnel:
        number = _open(tunnel, story.echo)
        tunnel.wait_for("GOAWAY of a tunnel accepted while draining", lambda: tunnel.goaways)
        _passes(tunnel, number, b"goes on")
        story.server.process.signal(signal.SIGTERM)  # the second one ends it at once
        try:
            tunnel.wait_for("the end", lambda: False)
        except tls.Refused as refused:
            expect(str(refused).startswith("closed"), "the tunnel ended with %s, not with close_notify" % refused)
        expect(tunnel.goaways[-1][:2] == (number, hbone.NO_ERROR), "GOAWAYs: %s" % tunnel.goaways)
        expect_eq(tunnel.streams[number].ended, "reset %d" % hbone.CANCEL, "the end of its stream")
