"""HAProxy in TCP mode, with the one upstream on its near side."""

import shutil

from .pair import Pair
from .world import APP, FAR_NAME, OUTBOUND, TUNNEL

_FRAME = """global
    nbthread 1
    maxconn 9000
    tune.ssl.cachesize %(cache)d
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
    ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256
    ssl-default-bind-curves X25519
defaults
    mode tcp
    maxconn 9000
    timeout connect 5s
    timeout client 300s
    timeout server 300s
listen side
    %(listen)s
"""

_NEAR = """bind 127.0.0.1:%(outbound)d backlog 4096
    server far %(far)s:%(tunnel)d ssl crt %(identity)s ca-file %(root)s verify required verifyhost %(far_name)s """ \
    """sni str(%(far_name)s) ssl-min-ver TLSv1.3 %(no_reuse)s"""

_FAR = """bind :%(tunnel)d ssl crt %(identity)s ca-file %(root)s verify required ssl-min-ver TLSv1.3 %(no_tickets)s backlog 4096
    server app %(far)s:%(app)d"""


class Haproxy(Pair):
    name = "haproxy"
    cache, no_reuse, no_tickets = 0, "no-ssl-reuse", "no-tls-tickets"

    @classmethod
    def unavailable_reason(cls):
        return None if shutil.which("haproxy") else "haproxy is not installed (bench/apt-packages.txt)"

    def start(self, world):
        self.far = self._side(world, world.net.b, _FAR, world.far_pem)
        self.far.wait_for_port(TUNNEL)
        self.near = self._side(world, world.net.a, _NEAR, world.near_pem)
        self.near.wait_for_port(OUTBOUND)

    def _side(self, world, host, listen, identity):
        both = "".join(open(path).read() for path in identity)
        listen %= {"outbound": OUTBOUND, "tunnel": TUNNEL, "app": APP, "far": world.net.b.ipv4, "far_name": FAR_NAME,
                   "identity": world.write("haproxy-%s.pem" % host.name, both), "root": world.root_pem,
                   "no_reuse": self.no_reuse, "no_tickets": self.no_tickets}
        path = world.write("haproxy-%s.cfg" % host.name, _FRAME % {"listen": listen, "cache": self.cache})
        return world.side(host, "haproxy", ["haproxy", "-db", "-f", path])


class HaproxyResuming(Haproxy):
    """As its users often run it: sessions are resumed."""
    name, is_default = "haproxy-resuming", False
    cache, no_reuse, no_tickets = 20000, "", ""
