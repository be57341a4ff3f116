"""spoofing: an attacker that takes over the address of a server or a client does not gain its identity.

    client: [sidecar] ---> router: routes the server's address to the thief
    thief: a raw peer with some certificate, at the address of another host"""

from handfast_harness import Capture, Mesh, StreamServer, TestAuthority, expect, expect_eq, identity_of
from handfast_harness import stream
from peers import hbone, tls
from peers.enrollment import Enrollment, field, fields
from peers.on_path import give_back, take_over

SECRET = b"a message for the genuine server only"


def arrange(story):
    story.mesh = Mesh(story, outsiders=("thief",), leaf_ttl="1h", policy={
        "default_mode": "strict",
        "workloads": [{"identity": identity_of("server"), "rules": [
            {"name": "only-the-client", "action": "allow", "sources": [{"id": identity_of("client")}]}]}]})
    story.app = story.own(StreamServer(story, story.mesh.server, 80, "echo"))
    story.ca = TestAuthority.of(story.mesh.control)


def shows_that_the_servers_address_alone_is_not_its_identity(story):
    net, mesh = story.mesh.net, story.mesh
    take_over(net, net.thief, net.server)
    cases = {"another member's certificate": (story.ca.leaf(identity_of("thief")), "wrong_peer"),
             "a self-made authority": (TestAuthority().leaf(identity_of("server")), "peer_untrusted"),
             "the server's certificate without its key": (tls.stolen(story.ca.leaf(identity_of("server"))), "tls_failed")}
    for name, (identity, reason) in cases.items():
        with hbone.Server(net.thief, identity) as thief:
            expect_eq(stream.attempt(mesh.client, mesh.server.ipv4, 80, SECRET), (b"", "reset"), name)
            mesh.sidecar("client").wait_for_access(reason=reason)
        expect_eq((thief.received, thief.authorities), (b"", []), "bytes at the thief with " + name)
    give_back(net, net.thief, net.server)


def shows_that_a_thief_without_any_tunnel_gets_no_plaintext(story):
    net, mesh = story.mesh.net, story.mesh
    take_over(net, net.thief, net.server)
    with Capture(story, net.router, "to-client") as wire, net.thief.listen("0.0.0.0", 80):
        expect_eq(stream.attempt(mesh.client, mesh.server.ipv4, 80, SECRET), (b"", "reset"), "a connection")
    expect(not wire.contains(SECRET) and 80 not in wire.ports(), "bytes left in plaintext")
    give_back(net, net.thief, net.server)


def shows_that_the_clients_address_alone_is_not_its_identity(story):
    net, mesh = story.mesh.net, story.mesh
    take_over(net, net.thief, net.client)
    dial = lambda port: net.thief.connect(mesh.server.ipv4, port, source=mesh.client.ipv4)
    cases = {"none": (None, "certificate required"), "self-made": (TestAuthority().leaf(identity_of("client")), "unknown ca"),
             "without its key": (tls.stolen(story.ca.leaf(identity_of("client"))), "decrypt error")}
    for name, (identity, alert) in cases.items():
        try:
            with hbone.Client(None, None, identity, sock=dial(15008)):
                expect(False, "the thief was accepted with a certificate: " + name)
        except tls.Refused as refused:
            expect_eq(str(refused), alert, "alert for a certificate: " + name)
    with hbone.Client(None, None, story.ca.leaf(identity_of("thief")), sock=dial(15008)) as tunnel:
        answer = tunnel.connect(mesh.server.ipv4 + ":80")
        expect_eq((answer.status, answer.reason()), (401, "denied"), "the thief's own identity at that address")
    try:
        with dial(80) as sock:
            sock.sendall(SECRET)
            expect_eq(stream.receive_all(sock)[0], b"", "the answer in plaintext")
    except (ConnectionResetError, BrokenPipeError):
        pass
    expect_eq(story.app.reports(), [], "connections that the application saw")
    give_back(net, net.thief, net.client)


def shows_that_an_address_with_an_owner_cannot_be_claimed(story):
    net, mesh = story.mesh.net, story.mesh
    take_over(net, net.thief, net.server)
    sock = net.thief.connect(mesh.control.host.ipv4, 15012, source=mesh.server.ipv4)
    with Enrollment(None, None, story.ca.leaf(identity_of("thief")), sock=sock) as control:
        hello, claim = field(1, field(1, 1) + field(3, b"peer")), field(4, b"")
        result = dict(control.talk("/handfast.v1.Identity/Stream", [hello, claim], lambda down: 4 in dict(fields(down))))
        refused = dict(fields(result[4])).get(2, b"")
    expect(refused != b"", "the thief now owns the server's address")
    give_back(net, net.thief, net.server)
    with mesh.client.connect(mesh.server.ipv4, 80, uid=1000) as sock:
        expect_eq(stream.exchange(sock, b"true"), (b"true", "fin"), "the genuine server")
