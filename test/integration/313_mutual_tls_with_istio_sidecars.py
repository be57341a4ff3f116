"""Sidecars of Istio as peers, on the workload's own port: mutual TLS with the ALPN `istio`, in both directions.

    client: app -> [sidecar] ==TLS, ALPN istio==> foreign: OpenSSL, then Envoy as a sidecar of Istio -> echo
    foreign: app -> Envoy ==TLS==> 8443 server: [sidecar, listener with mtls] -> 127.0.0.1:9000 echo
    client: app -> [sidecar] ==TLS, ALPN istio==> 8443 server

The control plane has entries with transport: istio_tls. Where Envoy cannot be had it is left out, which is printed."""

import os

from cryptography.hazmat.primitives.asymmetric import rsa
from handfast_harness import (Capture, Mesh, StreamServer, TestAuthority, expect, expect_eq, expect_in, identity_of, stream,
                              wait_until)
from peers import istio_sidecar, others

DEADLINE_S = 900  # Envoy is fetched at the first run
APP, SIDECAR, ECHO, MTLS, LOCAL = 1000, 1337, 9000, 8443, 7000
FOREIGN, BULK = identity_of("foreign"), os.urandom(1 << 20) * 8
MARKER = b"marker-that-must-never-be-on-the-wire"


def _entry(host, name, **more):
    return [{"address": address, "identity": identity_of(name), **more} for address in (host.ipv4, host.ipv6)]


def arrange(story):
    mesh = story.mesh = Mesh(story, outsiders=("foreign",), leaf_ttl="1h", start=False)
    mesh.control.configure(entries=_entry(mesh.foreign, "foreign", transport="istio_tls"))
    mesh.start_control()
    mesh.start_sidecar("client")
    mesh.start_sidecar("server", configuration={"listeners": {"inbound": [
        {"port": MTLS, "to": "127.0.0.1:%d" % ECHO, "mtls": True}]}})
    story.ca, story.client = TestAuthority.of(mesh.control), mesh.sidecar("client")
    story.app = story.own(StreamServer(story, mesh.server, ECHO, "echo"))


def _peer(story, identity=None, **more):
    return istio_sidecar.Server(story.mesh.foreign, identity or story.ca.leaf(FOREIGN), ECHO, **more)


def _exchange(host, address, port, data, uid=APP):
    """What came back, and its end."""
    try:
        with host.connect(address, port, uid=uid, timeout_s=20) as sock:
            return stream.exchange(sock, data)
    except ConnectionResetError:  # while it connects
        return b"", "reset"


def _call(story, data, address=None):
    return _exchange(story.mesh.client, address or story.mesh.foreign.ipv4, ECHO, data)


def shows_that_bytes_and_both_ends_arrive(story):
    with _peer(story) as peer:
        expect_eq(_call(story, b"hello"), (b"hello", "fin"), "the answer")
        expect_eq(_call(story, b"hello", story.mesh.foreign.ipv6), (b"hello", "fin"), "the answer over IPv6")
        expect_eq(_call(story, BULK), (BULK, "fin"), "8 MiB")
    expect_eq(peer.peers, [identity_of("client")] * 3, "the identities that the peer saw")
    expect_eq(set(peer.offered), {((b"istio",), None)}, "ALPN and server name that were offered")
    line = story.client.wait_for_access(direction="outbound", destination="%s:%d" % (story.mesh.foreign.ipv4, ECHO))
    expect_eq((line["reason"], line["encrypted"], line["destination_id"]), ("done", True, FOREIGN), "the line")
    expect(line["key_exchange"], "the log does not name the key exchange")
    expect_eq(story.client.metric('handfast_tunnels_open{direction="outbound"}'), 0, "tunnels")


def shows_that_the_wire_has_tls_alone(story):
    with Capture(story, story.mesh.net.router, "to-foreign") as wire, _peer(story):
        expect_eq(_call(story, MARKER), (MARKER, "fin"), "the answer")
    expect(not wire.contains(MARKER), "the marker crossed the wire in plaintext")
    expect_eq(wire.ports(), {ECHO}, "ports that were dialed")


def shows_that_a_peer_that_answers_istio_peer_exchange_is_not_misled(story):
    """`istio` is all that is offered: a peer that insists on another protocol gets nothing."""
    with _peer(story, answer=(b"istio", b"istio-peer-exchange")):
        expect_eq(_call(story, b"hello"), (b"hello", "fin"), "the answer of one that selects istio")


def _refused(story, reason, **more):
    before = len(story.client.access_log(reason=reason))
    with _peer(story, **more) as peer:
        expect_eq(_call(story, b"the application's secret"), (b"", "reset"), "the app's view with " + reason)
    wait_until("a line with %s (it has %s)" % (reason, [line["reason"] for line in story.client.access_log()]),
               lambda: len(story.client.access_log(reason=reason)) > before, 5)
    expect_eq(peer.received, b"", "bytes at the peer")


def shows_that_every_other_identity_is_refused_before_a_byte_leaves(story):
    _refused(story, "wrong_peer", identity=story.ca.leaf(identity_of("server")))
    _refused(story, "peer_expired", identity=story.ca.bad_leaf("expired", FOREIGN))
    _refused(story, "peer_untrusted", identity=TestAuthority().leaf(FOREIGN))


def shows_that_a_port_without_tls_gets_no_byte_of_the_workload(story):
    """Absence never becomes plaintext: what answers in plaintext is no peer."""
    before = len(story.client.access_log(reason="tls_failed"))
    with StreamServer(story, story.mesh.foreign, ECHO, "echo") as plain:
        expect_eq(_call(story, MARKER), (b"", "reset"), "the app's view")
        wait_until("the reason", lambda: len(story.client.access_log(reason="tls_failed")) > before, 5)
        plain.wait_for_report()
        expect(MARKER.decode() not in str(plain.reports()), "the workload's bytes in plaintext")
    expect_eq(_call(story, MARKER)[0], b"", "the app's view without a peer")
    story.client.wait_for_access(reason="connect_refused", destination="%s:%d" % (story.mesh.foreign.ipv4, ECHO))


def shows_that_a_ban_cuts_an_open_connection(story):
    with _peer(story), stream.open_asked(story.mesh.client, story.mesh.foreign.ipv4, ECHO) as sock:
        story.mesh.control.run("ban", FOREIGN)
        wait_until("the connection to be cut", lambda: stream.is_cut(sock), 10)
        story.client.wait_for_access(reason="withdrawn", destination="%s:%d" % (story.mesh.foreign.ipv4, ECHO))
        story.mesh.control.run("unban", FOREIGN)
    with _peer(story):
        wait_until("calls again", lambda: _call(story, b"hello") == (b"hello", "fin"), 30)


def shows_that_a_listener_with_mtls_is_such_a_peer(story):
    """So two sidecars of Handfast can also do without a tunnel, where an operator sets it."""
    story.mesh.control.reload(entries=_entry(story.mesh.foreign, "foreign", transport="istio_tls") +
                              _entry(story.mesh.server, "server", transport="istio_tls"))
    answer = lambda: _exchange(story.mesh.client, story.mesh.server.ipv4, MTLS, b"hello")
    wait_until("the answer of the listener", lambda: answer() == (b"hello", "fin"), 10)
    story.client.wait_for_access(destination="%s:%d" % (story.mesh.server.ipv4, MTLS), encrypted=True, reason="done")
    story.mesh.sidecar("server").wait_for_access(direction="inbound", source_id=identity_of("client"), reason="done")


def _start_envoy(story):
    folder = story.folder("envoy")
    os.chmod(folder, 0o755)
    identity = story.ca.leaf(FOREIGN, key=rsa.generate_private_key(65537, 2048))
    return story.spawn(story.mesh.foreign, "envoy", istio_sidecar.envoy(
        folder, os.path.join(story.bin, "envoy"), identity, story.ca.root_pem,
        (story.mesh.foreign.ipv4, ECHO, ECHO, identity_of("client")),
        (LOCAL, story.mesh.server.ipv4, MTLS, identity_of("server"))), uid=SIDECAR)


def shows_envoy_as_a_sidecar_of_istio_in_both_directions(story):
    """With a key of RSA 2048, as Istio's agent makes it."""
    story.bin = others.python_programs()
    if not story.bin:
        return
    story.own(StreamServer(story, story.mesh.foreign, ECHO, "echo", address="127.0.0.1"))
    envoy = _start_envoy(story)
    envoy.wait_until("a call to it", lambda: _call(story, b"hello") == (b"hello", "fin"), 60)
    expect_eq(_call(story, BULK), (BULK, "fin"), "8 MiB to it")
    outward = lambda data: _exchange(story.mesh.foreign, "127.0.0.1", LOCAL, data)
    expect_eq(outward(b"hello"), (b"hello", "fin"), "the answer through it")
    expect_eq(outward(BULK), (BULK, "fin"), "8 MiB through it")
    line = story.mesh.sidecar("server").wait_for_access(direction="inbound", source_id=FOREIGN, reason="done")
    expect_in(":%d" % MTLS, line["destination"], "the destination")
    envoy.stop()
