"""A strict port serves no host outside the mesh, neither in plaintext nor over TLS; a permissive port accepts
plaintext.

    stranger (no sidecar) -x-> server: [sidecar, 80 and 443 strict, 81 permissive] -> listeners of the story
    stranger -x-> 15001, 15006, 15008 of the server, dialed directly"""

from handfast_harness import Mesh, StreamServer, TestAuthority, expect, expect_eq, identity_of
from handfast_harness import stream
from peers import hbone, tls

# D1: first bytes that a host outside the mesh may try.
OPENINGS = [b"GET / HTTP/1.1\r\nHost: server\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"SSH-2.0-x\r\n", b"x",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage", b"PROXY TCP4 192.0.2.2 192.0.2.3 1 80\r\n", b""]


def arrange(story):
    story.mesh = Mesh(story, outsiders=("stranger",), leaf_ttl="1h", policy={
        "default_mode": "strict",
        "workloads": [{"identity": identity_of("server"), "ports": [{"port": 81, "mode": "permissive"}]}]})
    story.app = story.own(StreamServer(story, story.mesh.server, 80, "echo"))
    story.own(StreamServer(story, story.mesh.server, 81, "echo"))
    story.server = story.mesh.sidecar("server")


def _ends_empty(host, address, port, data=b"", uid=0):
    """Whether a connection ends, or is refused, without a byte of answer."""
    return stream.attempt(host, address, port, data, uid, timeout_s=10) in ((b"", "reset"), (b"", "fin"),
                                                                            (b"", "refused"))


def shows_that_plaintext_is_refused_and_the_app_sees_nothing(story):
    for address in (story.mesh.server.ipv4, story.mesh.server.ipv6):
        for opening in OPENINGS:
            expect(_ends_empty(story.mesh.stranger, address, 80, opening), "%r was answered" % opening)
    expect_eq(story.app.reports(), [], "connections that the application saw")
    story.server.process.wait_until("the refusals in the log", lambda: len(story.server.access_log(
        direction="inbound_plain", reason="plaintext_refused")) == 2 * len(OPENINGS))


def shows_that_foreign_tls_is_refused(story):
    ours = TestAuthority.of(story.mesh.control).leaf(identity_of("client"))
    for identity in (None, TestAuthority().leaf(identity_of("client")), ours):
        try:
            tls.Tls(story.mesh.stranger.connect(story.mesh.server.ipv4, 80), identity).handshake().close()
            expect(False, "a handshake with the strict port succeeded")
        except (tls.Refused, ConnectionResetError):
            pass
    expect_eq(story.app.reports(), [], "connections that the application saw")


def shows_that_the_mesh_reaches_the_strict_port(story):
    with story.mesh.client.connect(story.mesh.server.ipv4, 80, uid=1000) as sock:
        expect_eq(stream.exchange(sock, b"through the tunnel"), (b"through the tunnel", "fin"), "echo")


def shows_that_a_permissive_port_accepts_plaintext(story):
    with story.mesh.stranger.connect(story.mesh.server.ipv4, 81) as sock:
        expect_eq(stream.exchange(sock, b"in plaintext"), (b"in plaintext", "fin"), "echo")
    line = story.server.wait_for_access(direction="inbound_plain", reason="done")
    expect_eq((line["encrypted"], line.get("source_id")), (False, None), "encryption and source of the connection")


def shows_that_the_sidecars_own_ports_refuse_direct_connections(story):
    for port in (15001, 15006):
        expect(_ends_empty(story.mesh.stranger, story.mesh.server.ipv4, port, b"hello"), "port %d answered" % port)
        expect(_ends_empty(story.mesh.server, "127.0.0.1", port, b"hello", uid=1000),
               "port %d answered its own workload" % port)
    with story.mesh.stranger.connect(story.mesh.server.ipv4, 15008, timeout_s=8) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        received, _ = stream.receive_all(sock)
    expect(b"HTTP" not in received, "the tunnel port answered plaintext with %r" % received)
    try:
        with hbone.Client(story.mesh.stranger, story.mesh.server.ipv4, None):
            expect(False, "a tunnel without a certificate was opened")
    except tls.Refused as refused:
        expect_eq(str(refused), "certificate required", "alert")


def shows_that_the_admin_port_is_closed_to_the_network(story):
    expect(_ends_empty(story.mesh.stranger, story.mesh.server.ipv4, 15000, b"GET /certs HTTP/1.1\r\nHost: x\r\n\r\n"),
           "the admin port answered the network")
