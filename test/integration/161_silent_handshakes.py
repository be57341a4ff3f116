"""Hosts that connect to the tunnel port and send nothing, or too many ClientHellos, do not prevent others from making
tunnels.

    stranger: connects to 15008 at 300 per second, silent --> server: [sidecar, certificates of 10 s] -> echo on 9000
    client: [sidecar, certificates of 10 s] ==a new tunnel with each certificate==> the same

Rows: L2, L12."""

from OpenSSL import SSL

from handfast_harness import Mesh, StreamServer, TestAuthority, expect, expect_eq, identity_of, wait_until
from handfast_harness import fairness, stream
from peers import flood, hbone, tls

DEADLINE_S = 300
TUNNEL = 15008


def arrange(story):
    story.mesh = Mesh(story, outsiders=("stranger", "raw"), leaf_ttl="10s")
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    story.leaf = TestAuthority.of(story.mesh.control).leaf(identity_of("raw"))


def _ask(story):
    with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000, timeout_s=5) as sock:
        sock.sendall(b"request")
        expect_eq(stream.receive_exactly(sock, 7), b"request", "echo")


def _make_a_tunnel(story):
    """The server's own certificate may change meanwhile: then it sends GOAWAY, and the peer makes another tunnel."""
    for _ in range(2):
        with hbone.Client(story.mesh.raw, story.mesh.server.ipv4, story.leaf) as tunnel:
            answer = tunnel.connect(story.mesh.server.ipv4 + ":9000")
            if tunnel.goaway is None:
                break
    expect_eq(answer.status, 200, "status")


def _refused(story, resource, limit):
    return story.mesh.sidecar("server").metric(
        'handfast_limit_refusals_total{resource="%s",limit="%s"}' % (resource, limit))


def finding_l2_silent_connections_prevent_no_tunnel(story):
    mesh = story.mesh
    attack = flood.connections(mesh.stranger, mesh.server.ipv4, TUNNEL, per_second=300, most=5_000)
    renewals = 'handfast_identity_renewals_total{outcome="renewed"}'
    before = mesh.sidecar("server").metric(renewals)
    fairness.expect_unharmed("silent handshakes", {"meshed": lambda: _ask(story),
                                                   "new tunnel": lambda: _make_a_tunnel(story)},
                             lambda: fairness.Attack(attack), fairness.wait_for_count(400, 30), per_second=20, seconds=4)
    expect(_refused(story, "handshakes", "address") > 0, "no connection was refused")
    wait_until("a renewal", lambda: mesh.sidecar("server").metric(renewals) > before)


def finding_l2_a_silent_connection_is_closed_soon(story):
    with story.mesh.stranger.connect(story.mesh.server.ipv4, TUNNEL, timeout_s=4) as sock:
        expect(sock.recv(1) == b"", "it sent bytes")


def _client_hello(story):
    """A ClientHello by OpenSSL, with a key share."""
    connection = SSL.Connection(tls.context(), None)
    connection.set_connect_state()
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        return connection.bio_read(65536)
    raise AssertionError("a handshake without a peer")


def finding_l12_handshakes_yield_to_open_tunnels(story):
    """One source is limited to 50 per second; ten sources below that limit are served after the open tunnels."""
    mesh, hello = story.mesh, _client_hello(story)
    sources = ["203.0.113.%d" % number for number in range(201, 211)]
    for address in sources:
        mesh.net.add_address("stranger", address)
    one = flood.brief(mesh.stranger, mesh.server.ipv4, TUNNEL, hello, per_second=1000)
    ten = flood.brief(mesh.stranger, mesh.server.ipv4, TUNNEL, hello, per_second=400, sources=sources)
    sock = mesh.client.connect(mesh.server.ipv4, 9000, uid=1000, timeout_s=5)

    def echo():
        sock.sendall(b"request")
        expect_eq(stream.receive_exactly(sock, 7), b"request", "echo")

    def probe():
        expect_eq(mesh.raw.http("http://%s:15020/healthz/ready" % mesh.server.ipv4)[0], 200, "readiness")

    def under_way(flood_under_way):  # as fast as a busy machine lets it be
        wait_until("the attack, and the limit of one source's rate", lambda: flood_under_way.count >= 1000 and _refused(
            story, "handshakes", "address") > 500, 40)
    with sock:
        fairness.expect_unharmed("ClientHellos", {"open tunnel": echo, "probe": probe},
                                 lambda: fairness.Attack(one, ten), under_way, per_second=40, least_p99_s=0.030)
