"""Two hosts reach each other through the router, and the captured traffic can be read back.

    a (192.0.2.2, 2001:db8:1::2) --- router --- b (198.51.100.2, 2001:db8:2::2)

No Handfast program runs here: this tests the harness that the other stories use."""

from handfast_harness import Capture, Nginx, StreamServer, Topology, expect, expect_eq, expect_in, wait_until
from handfast_harness import capture, stream


def arrange(story):
    story.net = story.topology("a", "b")


def shows_that_a_ping_crosses_the_router(story):
    for address in (story.net.b.ipv4, story.net.b.ipv6):
        story.net.a.run(["ping", "-c", "1", "-w", "10", address])


def shows_that_names_resolve_inside(story):
    expect_in(story.net.b.ipv4, story.net.a.run(["getent", "ahostsv4", "b"]).stdout, "getent")


def shows_that_a_connection_keeps_its_source_and_its_bytes(story):
    net, data = story.net, stream.pattern(300_000)
    server = story.own(StreamServer(story, net.b, 9000, "echo"))
    for number, (to, source) in enumerate(((net.b.ipv4, net.a.ipv4), (net.b.ipv6, net.a.ipv6))):
        with net.a.connect(to, 9000, uid=1000) as sock:
            received, ended = stream.exchange(sock, data)
        expect_eq((stream.sha256(received), ended), (stream.sha256(data), "fin"), "echo")
        report = server.wait_for_report(number)
        expect_in(source, report["peer"][0], "peer's address")
        expect_eq(report["received_sha256"], stream.sha256(data), "hash at the server")


def shows_that_half_close_and_reset_are_distinguished(story):
    net = story.net
    hashing = story.own(StreamServer(story, net.b, 9001, "hash"))
    with net.a.connect(net.b.ipv4, 9001) as sock:
        received, ended = stream.exchange(sock, b"some bytes")
    expect_eq((received.strip().decode(), ended), (stream.sha256(b"some bytes"), "fin"), "answer after half-close")
    sock = net.a.connect(net.b.ipv4, 9001)
    sock.sendall(b"x")
    stream.reset(sock)
    expect_eq(hashing.wait_for_report(1)["ended"], "reset", "the server's view of a reset")
    story.own(StreamServer(story, net.b, 9002, "reset", num_bytes=5))
    with net.a.connect(net.b.ipv4, 9002) as sock:
        sock.sendall(b"hello")
        expect_eq(stream.receive_all(sock), (b"", "reset"), "the client's view of a reset")


def shows_that_a_capture_finds_plaintext_and_only_what_was_sent(story):
    net = story.net
    story.own(Nginx(story, net.b, 80, {"page": b"marker-in-plaintext\n"}))
    with Capture(story, net.router, "to-a") as wire:
        for address in (net.b.ipv4, "[%s]" % net.b.ipv6):
            expect_eq(net.a.http("http://%s:80/page" % address), (200, b"marker-in-plaintext\n"), "page")
    expect(wire.contains(b"marker-in-plaintext"), "the marker is not in the capture")
    expect(not wire.contains(b"never-sent"), "the capture contains bytes that were never sent")
    expect_eq(wire.ports(), {80}, "ports that were dialed")
    expect_eq(len(wire.streams()), 4, "directions of two connections")


def shows_that_tls_is_seen_as_tls(story):
    from handfast_harness import TestAuthority
    net, ca, folder = story.net, TestAuthority(), story.folder("tls")
    chain, key = ca.leaf("spiffe://cluster.local/b").write(folder)
    story.spawn(net.b, "s_server", ["openssl", "s_server", "-accept", "4433", "-cert", chain, "-cert_chain", chain,
                                    "-key", key, "-www", "-quiet"]).wait_for_port(4433)
    with Capture(story, net.router, "to-a") as wire:
        done = net.a.run(["openssl", "s_client", "-connect", "%s:4433" % net.b.ipv4, "-CAfile",
                          ca.write_bundle(folder), "-verify_return_error"], input="secret-marker\n")
    expect_in("Verification: OK", done.stdout, "s_client")
    answers = [data for key, data in wire.streams().items() if key[1] == 4433]
    expect_eq([hex(capture.tls_negotiated_version(data)) for data in answers], ["0x304"], "TLS version")
    expect(not wire.contains(b"secret-marker"), "the marker crossed the wire in plaintext")


def shows_that_two_topologies_are_isolated(story):
    with Topology("a") as other:
        other.a.listen("0.0.0.0", 9000).close()
        expect(not other.a.accepts(9000, story.net.b.ipv4), "a host reached into another topology")


def shows_that_a_host_can_have_more_addresses(story):
    story.net.add_address("b", "203.0.113.99")
    listener = story.net.b.listen("203.0.113.99", 81)
    wait_until("the new address", lambda: story.net.a.accepts(81, "203.0.113.99"))
    listener.close()
