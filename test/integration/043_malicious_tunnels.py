"""A peer with a valid identity sends forbidden and malformed requests on a tunnel (D32, T1, T2).

    raw: a peer with the client's own identity ==tunnel==> server: [sidecar] -> echo on every address, nothing else"""

import time

import h2.exceptions

from handfast_harness import Mesh, StreamServer, TestAuthority, expect, expect_eq, identity_of, needs
from handfast_harness import stream
from peers import hbone, tls

DEADLINE_S = 150
RESETS = 20_000


def arrange(story):
    story.mesh = Mesh(story, outsiders=("raw",), leaf_ttl="1h")
    story.address = story.mesh.server.ipv4
    story.leaf = TestAuthority.of(story.mesh.control).leaf(identity_of("client"))
    story.app = story.own(StreamServer(story, story.mesh.server, 80, "echo"))
    story.near = story.own(StreamServer(story, story.mesh.client, 80, "echo"))


def _tunnel(story):
    return hbone.Client(story.mesh.raw, story.address, story.leaf)


def shows_that_no_other_destination_can_be_requested(story):
    hosts = ["127.0.0.1", "127.8.9.10", "0.0.0.0", "169.254.169.254", "169.254.15.6", "224.0.0.1", "255.255.255.255",
             story.mesh.client.ipv4, story.mesh.server.ipv6, "[::1]", "[::]", "[100::6]", "[::6]", "[::ffff:127.0.0.1]",
             "[fe80::1]", "[%s]" % story.mesh.client.ipv6]
    own = [form % port for port in (15000, 15001, 15006, 15008, 15020, 0)
           for form in (story.address + ":%d", "[::ffff:" + story.address + "]:%d")]
    with _tunnel(story) as tunnel:
        for authority in ["%s:80" % host for host in hosts] + own:
            answer = tunnel.connect(authority)
            expect(answer.status == 400 or str(answer.ended).startswith("reset"),
                   "CONNECT %s: %s %s" % (authority, answer.status, answer.ended))
        expect_eq(tunnel.connect(story.address + ":80").status, 200, "the tunnel afterwards")
    expect_eq(story.near.reports(), [], "connections that another host saw")
    story.app.wait_for_report()
    expect_eq(len(story.app.reports()), 1, "connections that the application saw")


def _malformed(address):
    good = [(":method", "CONNECT"), (":authority", address + ":80")]
    authority = lambda text: [(":method", "CONNECT"), (":authority", text)]
    yield "GET", [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", address + ":80")]
    yield "POST", [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", address + ":80")]
    yield "with :path", good + [(":path", "/")]
    yield "with :scheme and :path", good + [(":scheme", "https"), (":path", "/")]
    yield "without :authority", good[:1]
    yield "two :authority", good + good[1:]
    yield "extended CONNECT", good + [(":protocol", "websocket"), (":scheme", "https"), (":path", "/")]
    yield "upper case in a header", good + [("Upper", "x")]
    yield "connection header", good + [("connection", "close")]
    for text in ("", ":80", address, address + ":", address + ":x", address + ":80x", address + ":080000", "server:80",
                 address + ":65536", " " + address + ":80", address + ":-1", "a" * 5000, address + ":80@evil",
                 "user@%s:80" % address, "0x7f.1:80", "1:80"):
        yield "authority %r" % text[:40], authority(text)


@needs(shows_that_no_other_destination_can_be_requested)
def shows_that_malformed_requests_are_refused_and_nothing_is_dialed(story):
    for name, headers in _malformed(story.address):
        with _tunnel(story) as tunnel:
            answer = tunnel.ask(headers)
            expect(answer.status == 400 or (answer.status is None and answer.ended not in (None, "timeout")),
                   "%s: %s %s" % (name, answer.status, answer.ended))
    expect_eq(len(story.app.reports()), 1, "connections that the application saw, including the earlier one")


def _reset_rapidly(tunnel, address):
    """Opens streams and resets them at once until the other side ends the tunnel. Returns the GOAWAY code."""
    headers = [(":method", "CONNECT"), (":authority", address + ":80")]
    try:
        for number in range(RESETS):
            stream_id = tunnel.engine.get_next_available_stream_id()
            tunnel.engine.send_headers(stream_id, headers)
            tunnel.engine.reset_stream(stream_id, 8)
            if number % 100 == 0:
                tunnel.flush()
        tunnel.flush()
        while not tunnel.goaway:  # GOAWAY 0 asks for another tunnel; this peer ignores it
            tunnel.pump()
    except (tls.Refused, h2.exceptions.ProtocolError):
        pass
    return tunnel.goaway


def shows_that_rapid_resets_end_the_tunnel_and_affect_no_other(story):
    with _tunnel(story) as tunnel:
        goaway = _reset_rapidly(tunnel, story.address)
    expect(goaway in (11, None), "GOAWAY with %s" % goaway)
    started = time.monotonic()
    with story.mesh.client.connect(story.address, 80, uid=1000) as sock:
        expect_eq(stream.exchange(sock, b"unharmed"), (b"unharmed", "fin"), "a connection of another source")
    expect(time.monotonic() - started < 15, "it took too long")
    expect(len(story.app.reports()) < RESETS / 2, "nearly every reset stream reached the application")
    expect_eq(story.mesh.sidecar("server").process.exit_code, None, "exit code of the sidecar")
