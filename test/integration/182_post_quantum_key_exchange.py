"""Tunnels have a post-quantum key exchange, with peers that offer nothing else, and with older ones by what they know.

    client: [sidecar] ==X25519MLKEM768, a hello of two segments==> server: [sidecar]
    client: [sidecar] ==> gopeer: Go            peer: Go, Envoy, openssl ==> server: [sidecar] 15008, control plane 15012
    peer: openssl, Go ==> pq: [sidecar, tls.profile: pq-only]

Rows: T2, T3. A program that cannot be had is left out, which is printed."""

import json
import os
import struct

from cryptography.hazmat.primitives import serialization

from handfast_harness import Capture, Mesh, StreamServer, TestAuthority, expect, expect_eq, expect_in, identity_of, stream, wait_until
from peers import others

DEADLINE_S = 600  # Envoy is fetched at the first run
APP, SIDECAR = 1000, 1337
ECHO, TUNNEL, CONTROL, ENVOY, ENVOY_ADMIN = 9000, 15008, 15012, 7000, 9901
HYBRID, CLASSIC = "X25519MLKEM768", ("X25519", "P-256", "P-384")
GROUP_IDS = {0x11ec: HYBRID, 29: "X25519", 23: "P-256", 24: "P-384"}
MTU = 1280  # of IPv6: a hello with the hybrid's share does not fit


def arrange(story):
    story.go, story.bin = others.go_tls(), others.python_programs()
    story.mesh = mesh = Mesh(story, hosts=("client", "server", "pq"), outsiders=("peer", "gopeer"), leaf_ttl="1h", start=False,
                             sidecar={"access_log": "all"}, sidecars={"pq": {"tls": {"profile": "pq-only"}}})
    mesh.control.configure(entries=[{"address": mesh.gopeer.ipv4, "identity": identity_of("gopeer")}])
    mesh.start()
    for name in ("server", "pq"):
        story.own(StreamServer(story, getattr(mesh, name), ECHO, "echo"))
    ca = TestAuthority.of(mesh.control)
    story.files = {}
    for name in ("peer", "gopeer"):
        folder = story.folder(name)
        os.chmod(folder, 0o755)
        story.files[name] = ca.leaf(identity_of(name)).write(folder)
        os.chmod(story.files[name][1], 0o644)  # Envoy reads it as another user
    story.issuer = os.path.join(story.folder("issuer"), "issuer.pem")
    with open(story.issuer, "wb") as file:
        file.write(ca.intermediate.public_bytes(serialization.Encoding.PEM))


def _echo(story, name):
    with story.mesh.client.connect(getattr(story.mesh, name).ipv4, ECHO, uid=APP) as sock:
        sock.sendall(b"hello")
        expect_eq(stream.receive_exactly(sock, 5), b"hello", "the echo of %s" % name)


def _hello(data):
    """(length of the record, supported groups, groups with a key share) of a ClientHello."""
    expect_eq((data[0], data[5]), (22, 1), "a handshake record with a ClientHello")
    size = 5 + struct.unpack("!H", data[3:5])[0]
    at = 9 + 2 + 32
    at += 1 + data[at]
    at += 2 + struct.unpack("!H", data[at:at + 2])[0]
    at += 1 + data[at] + 2
    groups, shares = [], []
    while at < size:
        kind, length = struct.unpack("!HH", data[at:at + 4])
        body = data[at + 4:at + 4 + length]
        if kind == 10:
            groups = [struct.unpack("!H", body[i:i + 2])[0] for i in range(2, length, 2)]
        elif kind == 51:
            i = 2
            while i < length:
                group, share = struct.unpack("!HH", body[i:i + 4])
                shares.append((group, share))
                i += 4 + share
        at += 4 + length
    known = lambda items: [GROUP_IDS[one] for one in items if one in GROUP_IDS]  # without GREASE (RFC 8701)
    return size, known(groups), known(group for group, _ in shares)


def finding_t3_a_tunnel_is_post_quantum_and_its_hello_may_come_in_two_segments(story):
    mesh = story.mesh
    mesh.client.run(["ip", "link", "set", "eth0", "mtu", str(MTU), "gso_max_segs", "1"])  # what is seen is what is sent
    before = mesh.sidecar("server").metric('handfast_tunnel_key_exchanges_total{direction="inbound",group="%s"}' % HYBRID)
    with Capture(story, mesh.client, "eth0", "tcp port %d" % TUNNEL) as wire:
        _echo(story, "server")
    for side, direction in (("client", "outbound"), ("server", "inbound")):
        line = mesh.sidecar(side).wait_for_access(direction=direction, encrypted=True, source_id=identity_of("client"))
        expect_eq(line["key_exchange"], HYBRID, "key_exchange in the access log of %s" % side)
        expect_eq([tunnel["key_exchange"] for tunnel in mesh.sidecar(side).admin("/tunnels")["tunnels"]], [HYBRID],
                  "key_exchange on /tunnels of %s" % side)
    after = mesh.sidecar("server").metric('handfast_tunnel_key_exchanges_total{direction="inbound",group="%s"}' % HYBRID)
    expect_eq(after - before, 1, "tunnels in the metric")
    sent = {key: data for key, data in wire.streams().items() if key[3] == TUNNEL and data[:1] == b"\x16"}
    expect_eq(len(sent), 1, "connections to the tunnel port")
    key, data = next(iter(sent.items()))
    size, groups, shares = _hello(data)
    expect_eq((groups, shares), ([HYBRID, *CLASSIC], [HYBRID, "X25519"]), "groups and key shares of the hello")
    segments = [len(packet.payload) for packet in wire.packets() if packet[1:5] == key and packet.payload]
    expect(segments[0] < size < 2048, "the hello of %d bytes came in segments of %s" % (size, segments[:3]))


def _go_dial(story, address, groups, authority=None):
    chain, key = story.files["peer"]
    done = story.mesh.peer.run([story.go, "dial", "%s:%d" % (address, TUNNEL), authority or "%s:%d" % (address, ECHO), groups,
                                chain, key], check=False)
    return json.loads(done.stdout.splitlines()[-1])


def finding_t3_go_opens_tunnels_with_each_group_alone(story):
    if not story.go:
        return
    server = story.mesh.server.ipv4
    for group in (HYBRID, *CLASSIC):
        seen = _go_dial(story, server, group)
        expect_eq((seen.get("status"), seen.get("answer")), (200, "hello\n"), "Go's tunnel with %s (%s)" % (group, seen))
        story.mesh.sidecar("server").wait_for_access(source_id=identity_of("peer"), key_exchange=group, direction="inbound")
    expect_in(HYBRID, _go_dial(story, server, ",".join((*CLASSIC, HYBRID)))["group"], "Go's group with all")


def finding_t3_the_sidecar_opens_tunnels_to_go_with_each_group_alone(story):
    if not story.go:
        return
    chain, key = story.files["gopeer"]
    for number, group in enumerate((HYBRID, *CLASSIC)):
        process = story.spawn(story.mesh.gopeer, "go-%d" % number, [story.go, "serve", "0.0.0.0:%d" % TUNNEL, group, chain, key])
        process.wait_until("it to listen", lambda: "listening" in process.log(), 20)
        _echo(story, "gopeer")
        story.mesh.sidecar("client").wait_for_access(destination_id=identity_of("gopeer"), key_exchange=group)
        process.stop()
        wait_until("the tunnel's end", lambda: not any(
            tunnel["remote"].startswith(story.mesh.gopeer.ipv4) for tunnel in story.mesh.sidecar("client").admin("/tunnels")["tunnels"]))


def finding_t3_envoy_opens_tunnels_with_the_hybrid_alone(story):
    if not story.bin:
        return
    mesh, api = story.mesh, "type.googleapis.com/envoy.extensions."
    chain, key = story.files["peer"]
    at = lambda address, port: {"socket_address": {"address": address, "port_value": port}}
    tls = {"@type": api + "transport_sockets.tls.v3.UpstreamTlsContext", "common_tls_context": {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3",
                       "ecdh_curves": [HYBRID]},
        "alpn_protocols": ["h2"],
        "tls_certificates": [{"certificate_chain": {"filename": chain}, "private_key": {"filename": key}}]}}
    tunnel = {"@type": api + "filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "tcp", "cluster": "server",
              "tunneling_config": {"hostname": "%s:%d" % (mesh.server.ipv4, ECHO)}}
    settings = {"admin": {"address": at("127.0.0.1", ENVOY_ADMIN)}, "static_resources": {
        "listeners": [{"name": "in", "address": at("127.0.0.1", ENVOY), "filter_chains": [{"filters": [
            {"name": "envoy.filters.network.tcp_proxy", "typed_config": tunnel}]}]}],
        "clusters": [{"name": "server", "type": "STATIC",
                      "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                          "@type": api + "upstreams.http.v3.HttpProtocolOptions",
                          "explicit_http_config": {"http2_protocol_options": {}}}},
                      "load_assignment": {"cluster_name": "server", "endpoints": [{"lb_endpoints": [
                          {"endpoint": {"address": at(mesh.server.ipv4, TUNNEL)}}]}]},
                      "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls}}]}}
    path = os.path.join(story.folder("envoy"), "envoy.json")
    with open(path, "w") as file:
        json.dump(settings, file)
    envoy = story.spawn(mesh.peer, "envoy", [os.path.join(story.bin, "envoy"), "-c", path, "--concurrency", "1",
                                             "--base-id", str(os.getpid() % 60000)], uid=SIDECAR)
    before = len(mesh.sidecar("server").access_log(source_id=identity_of("peer"), key_exchange=HYBRID))

    def calls():
        try:
            with mesh.peer.connect("127.0.0.1", ENVOY, uid=APP) as sock:
                sock.sendall(b"hello")
                return stream.receive_exactly(sock, 5) == b"hello"
        except (OSError, EOFError):
            return False
    envoy.wait_until("a call through it", calls, 60)
    wait_until("its line", lambda: len(mesh.sidecar("server").access_log(
        source_id=identity_of("peer"), key_exchange=HYBRID)) > before)
    envoy.stop()


def _openssl(story, address, port, group):
    chain, key = story.files["peer"]
    return story.mesh.peer.run(["bash", "-o", "pipefail", "-c", "openssl s_client -connect %s:%d -alpn h2 -tls1_3 -groups %s "
                                "-cert %s -cert_chain %s -key %s 2>&1 </dev/null | tr -cd '[:print:]\\n'" %
                                (address, port, group, chain, story.issuer, key)], check=False)


def finding_t2_openssl_3_gets_what_it_knows(story):
    """Debian 12's OpenSSL has no hybrid."""
    for address, port in ((story.mesh.server.ipv4, TUNNEL), (story.mesh.net.control.ipv4, CONTROL)):
        for group in CLASSIC:
            done = _openssl(story, address, port, group)
            expect_eq(done.returncode, 0, "openssl with %s at port %d (%s)" % (group, port, done.stdout[-300:]))
    name = 'handfast_control_key_exchanges_total{group="%s"}'
    for group in (HYBRID, *CLASSIC):  # the hybrid: of the sidecars
        wait_until("a connection with %s at the control plane" % group,
                   lambda: story.mesh.control.metrics()[name % group] >= 1)


def finding_t3_with_pq_only_the_hybrid_is_needed(story):
    address, sidecar = story.mesh.pq.ipv4, story.mesh.sidecar("pq")
    _echo(story, "pq")
    story.mesh.sidecar("client").wait_for_access(destination_id=identity_of("pq"), key_exchange=HYBRID)
    if story.go:
        expect_eq(_go_dial(story, address, HYBRID).get("status"), 200, "Go with the hybrid")
    for group in CLASSIC:
        expect(_openssl(story, address, TUNNEL, group).returncode != 0, "openssl with %s was served" % group)
    failures = lambda: [row for row in sidecar.admin("/why")["failures"] if "none of this side's groups" in str(row)]
    wait_until("the reason on /why", failures)
    expect_in("compare tls.profile and tls.groups of both ends", str(failures()[0]), "the advice")
