"""A sidecar of Istio, as its peers see it: TLS on the workload's own port with the ALPN `istio`, both ends authenticated.

    with Server(host, identity, 9000) as peer:     an echo by OpenSSL; peer.offered, peer.peers, peer.received
    argv = envoy(...)                              Envoy with the filter chains of an Istio sidecar for TCP
    argv = hbone_envoy(...)                        Envoy as the end of tunnels, as a waypoint is

Envoy's own keys are RSA 2048 there, as Istio's agent makes them."""

import contextlib
import json
import os
import threading

from .listening import Listening
from .tls import Refused, Tls

ALPN = (b"istio-peer-exchange", b"h2", b"http/1.1")  # what such a sidecar answers to; `istio` alone it leaves unanswered
_API = "type.googleapis.com/envoy.extensions."


class Server(Listening):
    """`answer`: the protocols that it selects from."""

    def __init__(self, host, identity, port, answer=ALPN):
        self._identity, self._answer = identity, answer
        self.offered, self.peers, self.received, self.refused = [], [], b"", []
        self._listen(host, port)

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                self._sockets.append(sock)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        tls = Tls(sock, self._identity, is_server=True, alpn=self._answer, timeout_s=20, on_offer=self._note)
        try:
            tls.handshake()
            self.peers.append(tls.peer_id())
            while data := tls.receive():
                self.received += data
                tls.send(data)
            tls.end()
        except Refused as refused:
            self.refused.append(str(refused))
        finally:
            tls.close()

    def _note(self, offered, server_name):
        self.offered.append((tuple(offered), server_name))


def _files(folder, name, identity, roots):
    chain, key = identity.write(folder, name)
    bundle = os.path.join(folder, name + "-roots.pem")
    with open(bundle, "wb") as file:
        file.write(roots)
    for path in (chain, key, bundle):
        os.chmod(path, 0o644)
    return chain, key, bundle


def _common(files, peer, alpn):
    chain, key, bundle = files
    return {"tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
            "alpn_protocols": alpn,
            "tls_certificates": [{"certificate_chain": {"filename": chain}, "private_key": {"filename": key}}],
            "validation_context": {"trusted_ca": {"filename": bundle}, "match_typed_subject_alt_names": [
                {"san_type": "URI", "matcher": {"exact": peer}}]}}


def _at(address, port):
    return {"socket_address": {"address": address, "port_value": port}}


def _proxy(cluster):
    return [{"name": "envoy.filters.network.tcp_proxy", "typed_config": {
        "@type": _API + "filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": cluster, "cluster": cluster}}]


def _cluster(name, address, port, socket_=None):
    made = {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": [
        {"lb_endpoints": [{"endpoint": {"address": _at(address, port)}}]}]}}
    if socket_:
        made["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": socket_}
    return made


def hbone_envoy(folder, program, identity, roots, address, workload, caller):
    """Envoy as the end of tunnels: CONNECT on 15008 leads to the workload's port."""
    files = _files(folder, "hbone", identity, roots)
    down = {"@type": _API + "transport_sockets.tls.v3.DownstreamTlsContext", "require_client_certificate": True,
            "common_tls_context": _common(files, caller, ["h2"])}
    manager = {"@type": _API + "filters.network.http_connection_manager.v3.HttpConnectionManager",
               "stat_prefix": "hbone", "codec_type": "HTTP2", "http2_protocol_options": {"allow_connect": True},
               "upgrade_configs": [{"upgrade_type": "CONNECT"}],
               "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
                   "@type": _API + "filters.http.router.v3.Router"}}],
               "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                   {"match": {"connect_matcher": {}}, "route": {"cluster": "workload", "upgrade_configs": [
                       {"upgrade_type": "CONNECT", "connect_config": {}}]}}]}]}}
    settings = {"static_resources": {
        "listeners": [{"name": "hbone", "address": _at(address, 15008), "filter_chains": [
            {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": down},
             "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}],
        "clusters": [_cluster("workload", "127.0.0.1", workload)]}}
    return _command(folder, program, settings)


def _command(folder, program, settings):
    path = os.path.join(folder, "envoy.json")
    with open(path, "w") as file:
        json.dump(settings, file)
    return [program, "-c", path, "--concurrency", "1", "--base-id", str(os.getpid() % 60000)]


def envoy(folder, program, identity, roots, inbound, outbound):
    """The command line. inbound: (address, port, the workload's port, the peer's identity); outbound: (local port,
    address, port, the peer's identity). As istiod makes them for TCP: `istio` and its kin take the chain with mutual TLS,
    other TLS and plaintext pass through."""
    files = _files(folder, "envoy", identity, roots)
    address, port, workload, caller = inbound
    local, to, to_port, callee = outbound
    down = {"@type": _API + "transport_sockets.tls.v3.DownstreamTlsContext", "require_client_certificate": True,
            "common_tls_context": _common(files, caller, [one.decode() for one in ALPN])}
    up = {"@type": _API + "transport_sockets.tls.v3.UpstreamTlsContext", "sni": "outbound_.%d_._.server" % to_port,
          "common_tls_context": _common(files, callee, ["istio-peer-exchange", "istio"])}
    mesh = {"filter_chain_match": {"transport_protocol": "tls", "application_protocols": [
        "istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"]}, "filters": _proxy("workload"),
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": down}}
    settings = {"static_resources": {
        "listeners": [
            {"name": "inbound", "address": _at(address, port), "filter_chains": [mesh, {"filters": _proxy("workload")}],
             "listener_filters": [{"name": "envoy.filters.listener.tls_inspector", "typed_config": {
                 "@type": _API + "filters.listener.tls_inspector.v3.TlsInspector"}}]},
            {"name": "outbound", "address": _at("127.0.0.1", local), "filter_chains": [{"filters": _proxy("peer")}]}],
        "clusters": [_cluster("workload", "127.0.0.1", workload), _cluster("peer", to, to_port, up)]}}
    return _command(folder, program, settings)
