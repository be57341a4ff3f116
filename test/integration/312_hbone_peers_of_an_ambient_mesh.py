"""Tunnels to and from peers that behave as ztunnel and Envoy do: their headers, sizes, keys, drains and refusals.

    raw: python3-h2 as ztunnel ==tunnel==> server: [sidecar] -> echo
    client: app -> [sidecar] ==tunnel==> ambient: python3-h2 as ztunnel, then Envoy -> echo

ztunnel itself is in no registry, and Debian has neither; Envoy is left out, which is printed, where it cannot be had.
Envoy as the client of a tunnel is in story 221."""

import os

from cryptography.hazmat.primitives.asymmetric import rsa
from h2.settings import SettingCodes
from handfast_harness import Mesh, StreamServer, TestAuthority, expect_eq, identity_of, stream, wait_until
from handfast_harness.certificates import Identity
from peers import hbone, istio_sidecar, others

DEADLINE_S = 900  # Envoy is fetched at the first run
APP, SIDECAR, ECHO = 1000, 1337, 9000
AMBIENT, STREAMS, BULK = identity_of("ambient"), 100, os.urandom(1 << 20) * 4
TRACE = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
BAGGAGE = ("k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.deployment.name=cart,service.name=cart,"
           "service.version=v1,cloud.region=eu,cloud.availability_zone=eu-1")
# What their CONNECT has besides :method and :authority.
ZTUNNEL = [("baggage", BAGGAGE), ("forwarded", 'for="203.0.113.9:40000";host="echo.shop.svc.cluster.local:9000"'),
           ("traceparent", TRACE)]
ENVOY = [("forwarded", "by=192.0.2.99;for=203.0.113.9;proto=https, for=unknown"), ("x-forwarded-for", "203.0.113.9"),
         ("x-forwarded-proto", "https"), ("x-request-id", "0b0c1e2d-1111-2222-3333-444455556666"),
         ("x-envoy-internal", "true"), ("x-envoy-expected-rq-timeout-ms", "15000"), ("x-istio-origin-network", "n1"),
         ("user-agent", "envoy"), ("priority", "u=3"), ("handfast-reason", "denied"), ("x-long", "a" * 8000)]
SETTINGS = {SettingCodes.INITIAL_WINDOW_SIZE: 4 << 20, SettingCodes.MAX_FRAME_SIZE: 1 << 20,
            SettingCodes.MAX_CONCURRENT_STREAMS: 200, SettingCodes.MAX_HEADER_LIST_SIZE: 16384}


def arrange(story):
    mesh = story.mesh = Mesh(story, outsiders=("raw", "ambient"), leaf_ttl="1h", start=False)
    mesh.control.configure(entries=[{"address": address, "identity": AMBIENT}
                                    for address in (mesh.ambient.ipv4, mesh.ambient.ipv6)])
    mesh.start()
    story.ca, story.client, story.server = TestAuthority.of(mesh.control), mesh.sidecar("client"), mesh.sidecar("server")
    story.leaf = story.ca.leaf(identity_of("client"))
    story.own(StreamServer(story, mesh.server, ECHO, "echo"))
    story.echo = "%s:%d" % (mesh.server.ipv4, ECHO)


def _tunnel(story, identity=None, address=None, **more):
    return hbone.Client(story.mesh.raw, address or story.mesh.server.ipv4, identity or story.leaf, timeout_s=10.0, **more)


def _open(tunnel, authority, headers=()):
    number = tunnel.request([(":method", "CONNECT"), (":authority", authority), *headers])
    expect_eq(tunnel.wait(number, lambda one: one.status is not None).status, 200, "CONNECT " + authority)
    return number


def _echoes(tunnel, number, data):
    """The bytes come back on an open stream."""
    one, before = tunnel.streams[number], len(tunnel.streams[number].data)
    tunnel.engine.send_data(number, data)
    tunnel.flush()
    tunnel.wait(number, lambda _: len(one.data) >= before + len(data))
    expect_eq(one.data[before:], data, "the echo")


def shows_that_their_headers_open_a_stream_and_name_no_source(story):
    """The address that policy and the log go by is that of the TCP peer, never of a header."""
    with _tunnel(story) as tunnel:
        for headers in (ZTUNNEL, ENVOY, ZTUNNEL + ENVOY):
            _echoes(tunnel, _open(tunnel, story.echo, headers), b"hello")
    line = story.server.wait_for_access(direction="inbound", source_id=identity_of("client"))
    expect_eq(line["source"].rpartition(":")[0], story.mesh.raw.ipv4, "the source")


def shows_both_forms_of_an_address_and_that_names_are_refused(story):
    """A name is for waypoints and gateways: a workload's tunnel port has its own addresses alone."""
    with _tunnel(story, address=story.mesh.server.ipv6) as tunnel:
        _echoes(tunnel, _open(tunnel, "[%s]:%d" % (story.mesh.server.ipv6, ECHO), ZTUNNEL), b"hello")
    with _tunnel(story) as tunnel:
        for authority in ("echo.shop.svc.cluster.local:9000", "%s:%d" % (story.mesh.client.ipv4, ECHO), story.mesh.server.ipv4):
            expect_eq(tunnel.connect(authority).status, 400, "CONNECT " + authority)
        _echoes(tunnel, _open(tunnel, story.echo), b"hello")


def shows_a_hundred_streams_with_large_windows_and_frames(story):
    with _tunnel(story) as tunnel:
        tunnel.engine.update_settings(SETTINGS)
        tunnel.engine.increment_flow_control_window((16 << 20) - 65535)
        tunnel.flush()
        numbers = [_open(tunnel, story.echo, ZTUNNEL) for _ in range(STREAMS)]
        for number in numbers:
            _echoes(tunnel, number, b"hello from %d" % number)
        for number in numbers:
            tunnel.engine.end_stream(number)
        tunnel.flush()
        expect_eq({tunnel.wait(number, lambda one: one.ended).ended for number in numbers}, {"fin"}, "the ends")


def shows_that_bytes_before_the_answer_arrive(story):
    with _tunnel(story) as tunnel:
        answer = tunnel.exchange(story.echo, b"sent at once")
        expect_eq((answer.status, answer.data, answer.ended), (200, b"sent at once", "fin"), "the stream")


def shows_that_pings_are_answered_and_a_draining_peer_keeps_its_streams(story):
    """A ztunnel that ends sends GOAWAY and waits for its streams."""
    with _tunnel(story) as tunnel:
        number, acks = _open(tunnel, story.echo), []
        tunnel.on_ping_ack = acks.append
        tunnel.engine.ping(b"12345678")
        tunnel.flush()
        tunnel.wait_for("the ack", lambda: acks)
        tunnel.tls.send(bytes((0, 0, 8, hbone.GOAWAY, 0, 0, 0, 0, 0)) + bytes(8))  # the engine would end its streams
        _echoes(tunnel, number, b"after GOAWAY")
        tunnel.engine.end_stream(number)
        tunnel.flush()
        expect_eq(tunnel.wait(number, lambda one: one.ended).ended, "fin", "the end")
    wait_until("the tunnel to be closed", lambda: story.server.metric('handfast_tunnels_open{direction="inbound"}') == 0, 10)


def shows_keys_and_chains_of_istio(story):
    """Envoy's agent makes RSA 2048 keys; a plugged-in CA's chain may have its root."""
    keyed = story.ca.leaf(identity_of("client"), key=rsa.generate_private_key(65537, 2048))
    rooted = Identity(story.leaf.key, story.leaf.chain + [story.ca.root])
    for identity in (keyed, rooted):
        with _tunnel(story, identity) as tunnel:
            _echoes(tunnel, _open(tunnel, story.echo, ZTUNNEL), b"hello")
        with hbone.Server(story.mesh.ambient, _as_ambient(story, identity), echoes=True):
            expect_eq(_call(story, b"hello"), (b"hello", "fin"), "the answer")
        _no_tunnel(story)


def _as_ambient(story, identity):
    leaf = story.ca.leaf(AMBIENT, key=identity.key)
    return Identity(leaf.key, leaf.chain + identity.chain[2:])


def _no_tunnel(story):
    wait_until("old tunnels to be closed", lambda: story.client.metric('handfast_tunnels_open{direction="outbound"}') == 0)


def _call(story, data, address=None):
    try:
        with story.mesh.client.connect(address or story.mesh.ambient.ipv4, ECHO, uid=APP, timeout_s=20) as sock:
            return stream.exchange(sock, data)
    except ConnectionResetError:  # while it connects
        return b"", "reset"


def _ambient(story, **more):
    _no_tunnel(story)
    return hbone.Server(story.mesh.ambient, story.ca.leaf(AMBIENT), echoes=True, **more)


def shows_calls_to_a_peer_with_the_settings_of_ztunnel(story):
    with _ambient(story, settings=SETTINGS) as peer:
        expect_eq(_call(story, BULK), (BULK, "fin"), "4 MiB")
        expect_eq(_call(story, b"hello", story.mesh.ambient.ipv6), (b"hello", "fin"), "the answer over IPv6")
    first, second = peer.requests
    expect_eq([name for name, _ in first], [":method", ":authority", "forwarded"], "the headers")
    expect_eq((dict(first)[":authority"], dict(second)[":authority"]),
              ("%s:%d" % (story.mesh.ambient.ipv4, ECHO), "[%s]:%d" % (story.mesh.ambient.ipv6, ECHO)), "the authorities")
    expect_eq(dict(first)["forwarded"].rpartition(":")[0], 'for="' + story.mesh.client.ipv4, "the source")
    expect_eq(set(peer.server_names), {None}, "server names")


def shows_that_more_tunnels_are_opened_where_a_peer_takes_few_streams(story):
    with _ambient(story, settings={SettingCodes.MAX_CONCURRENT_STREAMS: 1}) as peer:
        with stream.open_asked(story.mesh.client, story.mesh.ambient.ipv4, ECHO):
            for _ in range(3):
                expect_eq(_call(story, b"hello"), (b"hello", "fin"), "the answer beside an open connection")
    expect_eq(peer.handshakes >= 2, True, "tunnels: %d" % peer.handshakes)


def shows_an_interim_answer_and_trailers(story):
    with _ambient(story, interim=103, trailers=[("x-envoy-upstream-service-time", "1")]):
        expect_eq(_call(story, b"hello"), (b"hello", "fin"), "the answer")


def shows_refusals_without_a_reason(story):
    """ztunnel answers 401 and 503 with no header of ours."""
    for status in (400, 401, 503):
        before = len(story.client.access_log(reason="refused_by_peer"))
        with _ambient(story, answer=status):
            expect_eq(_call(story, b"hello"), (b"", "reset"), "the app's view of %d" % status)
        wait_until("the reason of %d" % status,
                   lambda: len(story.client.access_log(reason="refused_by_peer")) > before, 5)


def shows_calls_to_envoy_as_the_end_of_a_tunnel(story):
    program = others.python_programs()
    if not program:
        return
    _no_tunnel(story)
    folder = story.folder("envoy")
    os.chmod(folder, 0o755)
    story.own(StreamServer(story, story.mesh.ambient, ECHO, "echo", address="127.0.0.1"))
    identity = story.ca.leaf(AMBIENT, key=rsa.generate_private_key(65537, 2048))
    envoy = story.spawn(story.mesh.ambient, "envoy", istio_sidecar.hbone_envoy(
        folder, os.path.join(program, "envoy"), identity, story.ca.root_pem, story.mesh.ambient.ipv4, ECHO,
        identity_of("client")), uid=SIDECAR)
    envoy.wait_until("a call to it", lambda: _call(story, b"hello") == (b"hello", "fin"), 60)
    expect_eq(_call(story, BULK), (BULK, "fin"), "4 MiB")
    story.client.wait_for_access(direction="outbound", destination_id=AMBIENT, encrypted=True, reason="done")
    envoy.stop()
