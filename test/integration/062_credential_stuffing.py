"""credential_stuffing: a valid password of the application is useless without a certificate.

    stranger: has Redis' password and no sidecar -x-> server: [sidecar, strict] -> Redis with a password
    client: [sidecar] ==tunnel==> the same"""

from handfast_harness import Mesh, Redis, TestAuthority, expect, expect_eq, expect_in, identity_of, needs
from handfast_harness import stream
from peers import tls

LOGIN = b"AUTH correct-horse\r\nPING\r\n"
TRIES = 200


def arrange(story):
    story.mesh = Mesh(story, outsiders=("stranger",), leaf_ttl="1h", policy={"default_mode": "strict"})
    story.own(Redis(story, story.mesh.server))
    with story.mesh.server.connect("127.0.0.1", 6379) as sock:
        sock.sendall(b"CONFIG SET requirepass correct-horse\r\n")
        expect_eq(stream.receive_exactly(sock, 5), b"+OK\r\n", "setting the password")


def _num_connections(story):
    """How many connections Redis has had, including this one."""
    with story.mesh.server.connect("127.0.0.1", 6379) as sock:
        sock.sendall(b"AUTH correct-horse\r\nINFO stats\r\nQUIT\r\n")
        reply = stream.receive_all(sock)[0].decode()
    return int(reply.partition("total_connections_received:")[2].split()[0])


def shows_that_the_password_works_through_a_tunnel(story):
    with story.mesh.client.connect(story.mesh.server.ipv4, 6379, uid=1000) as sock:
        sock.sendall(LOGIN)
        expect_eq(stream.receive_exactly(sock, 12), b"+OK\r\n+PONG\r\n", "Redis' answers")


def shows_that_without_a_certificate_it_never_reaches_the_application(story):
    before = _num_connections(story)
    for address in (story.mesh.server.ipv4, story.mesh.server.ipv6):
        for _ in range(TRIES // 2):
            received, ended = stream.attempt(story.mesh.stranger, address, 6379, LOGIN, timeout_s=10)
            expect_eq(received, b"", "the answer in plaintext")
            expect_in(ended, ("reset", "fin"), "the end of the connection")
    for identity in (None, TestAuthority().leaf(identity_of("client"))):
        try:
            tls.Tls(story.mesh.stranger.connect(story.mesh.server.ipv4, 6379), identity).handshake()
            expect(False, "a TLS session was opened on the strict port")
        except (tls.Refused, ConnectionResetError):
            pass
    expect_eq(_num_connections(story), before + 1, "connections that Redis saw, including this query")


@needs(shows_that_without_a_certificate_it_never_reaches_the_application)
def shows_that_the_log_has_every_try(story):
    server = story.mesh.sidecar("server")
    server.process.wait_until("every try in the log", lambda: len(server.access_log(
        direction="inbound_plain", reason="plaintext_refused")) == TRIES + 2)
    expect_in("plaintext_refused", str(server.admin("/why")), "/why")
