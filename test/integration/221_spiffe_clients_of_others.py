"""Clients of others use the sidecar's Workload API and its secret discovery as they are: go-spiffe, py-spiffe, Envoy.

    client: go-spiffe, Envoy -> [sidecar] workload.sock      server: go-spiffe, py-spiffe -> [sidecar] workload.sock
    client: Envoy ==tunnels==> server: [sidecar] 15008 -> echo
    client: go-spiffe --mutual TLS--> server: go-spiffe
    client: Envoy --TLS--> openssl with a certificate that is revoked (abuse case D43)

A program that cannot be had is left out, which is printed."""

import json
import os

from handfast_harness import Mesh, StreamServer, TestAuthority, expect, expect_eq, expect_in, identity_of, stream, wait_until
from peers import others

DEADLINE_S = 1200  # go-spiffe is built at the first run
APP, SIDECAR = 1000, 1337
ECHO, TLS, ENVOY, ENVOY_ADMIN, COPIED = 9000, 9443, 7000, 9901, 9444


def arrange(story):
    story.go, story.bin = others.go_spiffe(), others.python_programs()
    folder = story.folder("sockets")
    os.chmod(folder, 0o777)
    story.sockets = {name: os.path.join(folder, name) for name in ("client", "server")}
    story.mesh = Mesh(story, hosts=("client", "server"), leaf_ttl="30s", sidecars={
        name: {"workload_api": {"socket": path, "uids": [APP]}} for name, path in story.sockets.items()})
    story.own(StreamServer(story, story.mesh.server, ECHO, "echo"))


def _events(process):
    return [json.loads(line) for line in process.log().splitlines() if line.startswith("{")]


def _follows_rotations(story, name, argv):
    watcher = story.spawn(story.mesh.server, name, argv, uid=APP)
    # What else changes is sent, too.
    watcher.wait_until("two certificates", lambda: len({event.get("serial") for event in _events(watcher)}) >= 2, 60)
    first = _events(watcher)[0]
    expect_eq((first["id"], first["chain"]), (identity_of("server"), 2), "the identity and the chain of %s" % name)
    expect_eq(first["domains"], {"cluster.local": 1}, "the trust domains of %s" % name)
    watcher.stop()


def shows_that_go_spiffe_follows_the_rotation(story):
    if story.go:
        _follows_rotations(story, "go_spiffe", [story.go, "watch", story.sockets["server"]])


def shows_that_py_spiffe_follows_the_rotation(story):
    if story.bin:
        _follows_rotations(story, "py_spiffe", [os.path.join(story.bin, "python"), os.path.join(others.CLIENTS, "py_spiffe.py"),
                                                "watch", story.sockets["server"]])


def shows_that_two_programs_with_go_spiffe_authenticate_each_other(story):
    if not story.go:
        return
    mesh = story.mesh
    server = story.spawn(mesh.server, "go_server", [story.go, "serve", story.sockets["server"], "0.0.0.0:%d" % TLS], uid=APP)
    server.wait_until("it to listen", lambda: _events(server), 20)
    dial = lambda identity: mesh.client.run([story.go, "dial", story.sockets["client"], "%s:%d" % (mesh.server.ipv4, TLS),
                                             identity], uid=APP, check=False)
    done = dial(identity_of("server"))
    expect_eq(json.loads(done.stdout), {"answer": "hello\n"}, "the client's output")
    server.wait_until("the client's identity", lambda: {"peer": identity_of("client")} in _events(server))
    wrong = dial(identity_of("another"))
    expect(wrong.returncode != 0, "a server of another identity was accepted")
    expect_in("error", wrong.stdout, "the client's output")


def _envoy_settings(story):
    secret = lambda name: {"name": name, "sds_config": {"resource_api_version": "V3", "api_config_source": {
        "api_type": "GRPC", "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": {"cluster_name": "sidecar"}}]}}}
    api = "type.googleapis.com/envoy.extensions."
    http2 = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": api + "upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": {"http2_protocol_options": {}}}}
    endpoint = lambda name, address: {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]}
    tls = {"@type": api + "transport_sockets.tls.v3.UpstreamTlsContext", "common_tls_context": {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "alpn_protocols": ["h2"],
        "tls_certificate_sds_secret_configs": [secret("default")],
        "combined_validation_context": {
            "default_validation_context": {"match_typed_subject_alt_names": [
                {"san_type": "URI", "matcher": {"exact": identity_of("server")}}]},
            "validation_context_sds_secret_config": secret("ROOTCA")}}}
    tunnel = {"@type": api + "filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "tcp", "cluster": "server",
              "tunneling_config": {"hostname": "%s:%d" % (story.mesh.server.ipv4, ECHO)}}
    at = lambda address, port: {"socket_address": {"address": address, "port_value": port}}
    return {"node": {"id": "envoy", "cluster": "story"},
            "admin": {"address": at("127.0.0.1", ENVOY_ADMIN)},
            "static_resources": {
                "listeners": [{"name": "in", "address": at("127.0.0.1", ENVOY), "filter_chains": [{"filters": [
                    {"name": "envoy.filters.network.tcp_proxy", "typed_config": tunnel}]}]}],
                "clusters": [
                    {"name": "sidecar", "type": "STATIC", "typed_extension_protocol_options": http2,
                     "load_assignment": endpoint("sidecar", {"pipe": {"path": story.sockets["client"]}})},
                    {"name": "server", "type": "STATIC", "typed_extension_protocol_options": http2,
                     "load_assignment": endpoint("server", at(story.mesh.server.ipv4, 15008)),
                     "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls}}]}}


def _start_envoy(story, settings):
    """As the sidecar's user, whose connections are not intercepted."""
    path = os.path.join(story.folder("envoy"), "envoy.json")
    with open(path, "w") as file:
        json.dump(settings, file)
    return story.spawn(story.mesh.client, "envoy", [os.path.join(story.bin, "envoy"), "-c", path, "--concurrency", "1",
                                                    "--base-id", str(os.getpid() % 60000)], uid=SIDECAR)


def _calls(story):
    try:
        with story.mesh.client.connect("127.0.0.1", ENVOY, uid=APP) as sock:
            sock.sendall(b"hello")
            return stream.receive_exactly(sock, 5) == b"hello"
    except (OSError, EOFError):
        return False


def _envoy_serials(story):
    certificates = json.loads(story.mesh.client.http("http://127.0.0.1:%d/certs" % ENVOY_ADMIN)[1])["certificates"]
    return {row["serial_number"] for certificate in certificates for row in certificate.get("cert_chain", ())}


def shows_that_envoy_opens_tunnels_with_secrets_of_the_sidecar(story):
    """Envoy itself is the tunnel's end."""
    if not story.bin:
        return
    envoy = _start_envoy(story, _envoy_settings(story))
    envoy.wait_until("a call through it", lambda: _calls(story), 60)
    story.mesh.sidecar("server").wait_for_access(direction="inbound", destination="%s:%d" % (story.mesh.server.ipv4, ECHO),
                                                 source_id=identity_of("client"), encrypted=True)
    serials = _envoy_serials(story)
    wait_until("Envoy's next certificate", lambda: _envoy_serials(story) != serials, 40)
    expect(_calls(story), "no call after the rotation")
    stats = story.mesh.client.http("http://127.0.0.1:%d/stats?filter=sds" % ENVOY_ADMIN)[1].decode()
    for name in ("default", "ROOTCA"):
        expect_in("sds.%s.update_rejected: 0" % name, stats, "Envoy's counters")
    envoy.stop()


def _settings_with_lists(story):
    """Roots and revocation lists; the server is openssl, with a certificate for the identity of `server`."""
    settings = _envoy_settings(story)
    settings["node"]["metadata"] = {"disable_spiffe_cert_validation": True, "check_leaf_crl": True}
    resources, proxy = settings["static_resources"], settings["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]
    del proxy["typed_config"]["tunneling_config"]
    copied = resources["clusters"][1]
    del copied["typed_extension_protocol_options"], copied["transport_socket"]["typed_config"]["common_tls_context"]["alpn_protocols"]
    copied["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"] = {
        "address": "127.0.0.1", "port_value": COPIED}
    return settings


def _is_reversed(story):
    try:
        with story.mesh.client.connect("127.0.0.1", ENVOY, uid=SIDECAR) as sock:
            sock.sendall(b"hello\n")
            return stream.receive_exactly(sock, 6) == b"olleh\n"
    except (OSError, EOFError):
        return False


def shows_that_envoy_refuses_a_revoked_certificate_by_the_lists_of_its_sidecar(story):
    if not story.bin:
        return
    copied = TestAuthority.of(story.mesh.control).leaf(identity_of("server"))
    chain, key = copied.write(story.folder("copied"))
    story.spawn(story.mesh.client, "openssl", ["openssl", "s_server", "-accept", "127.0.0.1:%d" % COPIED, "-cert", chain,
                                               "-cert_chain", chain, "-key", key, "-rev", "-quiet"])
    envoy = _start_envoy(story, _settings_with_lists(story))
    envoy.wait_until("a call through it", lambda: _is_reversed(story), 60)
    serial = "%x" % copied.chain[0].serial_number
    story.mesh.control.run("revoke", serial.rjust(len(serial) + len(serial) % 2, "0"))
    wait_until("Envoy to refuse it", lambda: not _is_reversed(story), 20, 0.1)  # the next list is made 3 s after it
    expect(not _is_reversed(story), "accepted again")
    stats = story.mesh.client.http("http://127.0.0.1:%d/stats?filter=cluster.server.ssl.fail_verify_error" % ENVOY_ADMIN)[1].decode()
    expect(int(stats.rpartition(":")[2]) > 0, "another failure: %s" % stats)
