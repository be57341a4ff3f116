"""nginx with its stream module. It cannot use the original destination, so its near side has one fixed upstream."""

import os
import shutil

from .pair import Pair
from .world import APP, FAR_NAME, OUTBOUND, TUNNEL

_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"

_FRAME = """load_module %(module)s;
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid %(folder)s/nginx.pid;
error_log stderr warn;
events { worker_connections 19000; }
stream {
    access_log off;
    tcp_nodelay on;
    server {
        %(server)s
    }
}
"""

_NEAR = """listen 127.0.0.1:%(outbound)d backlog=4096;
        proxy_pass %(far)s:%(tunnel)d;
        proxy_ssl on;
        proxy_ssl_certificate %(certificate)s;
        proxy_ssl_certificate_key %(key)s;
        proxy_ssl_trusted_certificate %(root)s;
        proxy_ssl_verify on;
        proxy_ssl_verify_depth 3;
        proxy_ssl_name %(far_name)s;
        proxy_ssl_server_name on;
        proxy_ssl_protocols TLSv1.3;
        proxy_ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        proxy_ssl_conf_command Groups X25519;
        proxy_ssl_session_reuse %(reuse)s;"""

_FAR = """listen %(tunnel)d ssl backlog=4096;
        proxy_pass %(far)s:%(app)d;
        ssl_certificate %(certificate)s;
        ssl_certificate_key %(key)s;
        ssl_client_certificate %(root)s;
        ssl_verify_client on;
        ssl_verify_depth 3;
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        ssl_ecdh_curve X25519;
        ssl_session_cache %(cache)s;
        ssl_session_tickets %(reuse)s;"""


class Nginx(Pair):
    name = "nginx"
    reuse, cache = "off", "off"

    @classmethod
    def unavailable_reason(cls):
        has_it = shutil.which("nginx") and os.path.exists(_MODULE)
        return None if has_it else "nginx or its stream module is not installed (bench/apt-packages.txt)"

    def start(self, world):
        self.far = self._side(world, world.net.b, _FAR, world.far_pem)
        self.far.wait_for_port(TUNNEL)
        self.near = self._side(world, world.net.a, _NEAR, world.near_pem)
        self.near.wait_for_port(OUTBOUND)

    def _side(self, world, host, server, identity):
        folder = world.folder("nginx-" + host.name)
        server %= {"outbound": OUTBOUND, "tunnel": TUNNEL, "app": APP, "far": world.net.b.ipv4, "far_name": FAR_NAME,
                   "certificate": identity[0], "key": identity[1], "root": world.root_pem,
                   "reuse": self.reuse, "cache": self.cache}
        path = world.write("nginx-%s.conf" % host.name, _FRAME % {"module": _MODULE, "folder": folder,
                                                                  "server": server})
        return world.side(host, "nginx", ["nginx", "-e", "stderr", "-p", folder, "-c", path])


class NginxResuming(Nginx):
    """As its users often run it: sessions are resumed."""
    name, is_default = "nginx-resuming", False
    reuse, cache = "on", "shared:sessions:1m"
