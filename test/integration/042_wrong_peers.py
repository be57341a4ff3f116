"""A peer with another identity than expected gets nothing, on either side of a tunnel.

    client: app -> [sidecar] ==x== impostor: a raw peer on 15008 with some certificate (T7, D4-D13, D29)
    raw: a peer with some certificate ==x==> server: [sidecar] -> echo"""

from handfast_harness import Mesh, StreamServer, TestAuthority, expect, expect_eq, identity_of, wait_until
from handfast_harness import stream
from handfast_harness.certificates import BAD_LEAVES
from peers import hbone, tls

EXPECTED = identity_of("web")


def arrange(story):
    story.mesh = Mesh(story, outsiders=("impostor", "raw"), leaf_ttl="1h", start=False)
    story.mesh.control.configure(entries=[{"address": story.mesh.impostor.ipv4, "identity": EXPECTED}])
    story.mesh.start()
    story.ca = TestAuthority.of(story.mesh.control)
    story.app = story.own(StreamServer(story, story.mesh.server, 80, "echo"))
    story.client = story.mesh.sidecar("client")


def _no_tunnel(story):
    """Waits until the earlier tunnels to the impostor are closed, so that a new connection makes a tunnel of its
    own."""
    wait_until("old tunnels to be closed", lambda: story.client.metric('handfast_tunnels_open{direction="outbound"}') == 0)


def _dial(story, identity, reason, **options):
    """The client's app dials the impostor, which presents this identity. Returns what the impostor received."""
    _no_tunnel(story)
    before = len(story.client.access_log(reason=reason))
    with hbone.Server(story.mesh.impostor, identity, **options) as impostor:
        ended = stream.attempt(story.mesh.client, story.mesh.impostor.ipv4, 80, b"the application's secret")
        story.client.process.wait_until(
            "a line with %s (it has %s)" % (reason, [line["reason"] for line in story.client.access_log()]),
            lambda: len(story.client.access_log(reason=reason)) > before, 5)
        return ended, impostor


def _gives_nothing(story, identity, reason):
    ended, impostor = _dial(story, identity, reason)
    expect_eq(ended, (b"", "reset"), "the app's view with " + reason)
    expect_eq((impostor.received, impostor.authorities), (b"", []), "bytes and requests at the impostor")


def shows_that_the_right_identity_is_served(story):
    with hbone.Server(story.mesh.impostor, story.ca.leaf(EXPECTED), reply=b"welcome") as peer:
        with story.mesh.client.connect(story.mesh.impostor.ipv4, 80, uid=1000) as sock:
            sock.sendall(b"data")
            expect_eq(stream.receive_exactly(sock, 7), b"welcome", "answer")
    expect_eq(peer.received, b"data", "bytes at the peer")


def shows_that_another_services_certificate_is_refused(story):
    _gives_nothing(story, story.ca.leaf(identity_of("server")), "wrong_peer")


def shows_that_expired_and_foreign_certificates_are_refused(story):
    _gives_nothing(story, story.ca.bad_leaf("expired", EXPECTED), "peer_expired")
    _gives_nothing(story, story.ca.bad_leaf("not_yet_valid", EXPECTED), "peer_expired")
    _gives_nothing(story, TestAuthority().leaf(EXPECTED), "peer_untrusted")
    _gives_nothing(story, tls.stolen(story.ca.leaf(EXPECTED)), "tls_failed")


def shows_that_every_faulty_certificate_is_refused_by_the_server(story):
    identity = identity_of("client")
    cases = {kind: story.ca.bad_leaf(kind, identity) for kind in BAD_LEAVES}
    cases["another_authority"] = TestAuthority().leaf(identity)
    cases["another_trust_domain"] = TestAuthority("other.example").leaf("spiffe://other.example/ns/default/sa/client")
    cases["foreign_id_from_our_authority"] = story.ca.leaf("spiffe://other.example/ns/default/sa/client")
    cases["reserved_path"] = story.ca.leaf("spiffe://cluster.local/handfast/control")
    cases["stolen"] = tls.stolen(story.ca.leaf(identity))
    cases["none"] = None
    alerts = {}
    for kind, leaf in cases.items():
        try:
            with hbone.Client(story.mesh.raw, story.mesh.server.ipv4, leaf):
                expect(False, "the server accepted %s" % kind)
        except tls.Refused as refused:
            alerts[kind] = str(refused)
    expect_eq({kind: alerts[kind] for kind in ("expired", "another_authority", "none", "stolen")},
              {"expired": "certificate expired", "another_authority": "unknown ca", "none": "certificate required",
               "stolen": "decrypt error"}, "alerts")
    expect_eq(story.app.reports(), [], "connections that the application saw")


def shows_that_a_broken_tunnel_resets_its_connections(story):
    _no_tunnel(story)
    with hbone.Server(story.mesh.impostor, story.ca.leaf(EXPECTED), reply=b"half of it", cut_after=4):
        with story.mesh.client.connect(story.mesh.impostor.ipv4, 80, uid=1000) as sock:
            sock.sendall(b"data")
            expect_eq(stream.receive_all(sock)[1], "reset", "the end of the app's connection")
    tunnel = hbone.Client(story.mesh.raw, story.mesh.server.ipv4, story.ca.leaf(identity_of("client"))).open()
    expect_eq(tunnel.connect(story.mesh.server.ipv4 + ":80").status, 200, "answer")
    stream.reset(tunnel.tls.sock)
    expect_eq(story.app.wait_for_report()["ended"], "reset", "the end at the server's app")
