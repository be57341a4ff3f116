"""The topology: four namespaces around a router without NAT, the programs of Handfast, and third-party programs.

            control [handfast-control]
               |
    shop --- router --- store                 shop:     curl, psql and a sidecar
               |                              store:    nginx, PostgreSQL, a greeter and a sidecar
            stranger                          stranger: curl, psql, openssl and no sidecar

Every namespace has a hosts file with the others and the services; no DNS is used."""

from handfast_harness import Mesh, Nginx, Postgres, StreamServer, identity_of, wait_until
from handfast_harness.topology import sweep_leftovers

SHOP, STORE = identity_of("shop"), identity_of("store")
WEB, DB, SMTP = "203.0.113.200", "203.0.113.201", "203.0.113.202"  # virtual addresses of services
SECRET = b"the-secret-recipe-of-the-store"
LEAF_S = 10
BIG_BYTES, BIG_RATE = 60_000_000, 1_500_000  # a download of 40 s
OPEN_PORT = 8081  # the one port of the store that allows plaintext
APP_UID = 1000  # any user but the sidecar's

_SERVICES = [
    {"name": "web", "address": WEB, "ports": [{"port": 80, "target": 8080}], "identity": STORE},
    {"name": "db", "address": DB, "ports": [{"port": 5432, "target": 5432}], "identity": STORE},
    {"name": "smtp", "address": SMTP, "ports": [{"port": 25, "target": 25}], "identity": STORE},
]
_POLICY = {"workloads": [{
    "identity": STORE,
    "default_mode": "strict",
    "ports": [{"port": OPEN_PORT, "mode": "permissive"}],
    "rules": [
        {"name": "the-shop-may", "action": "allow", "sources": [{"id": SHOP}], "ports": [8080, 5432, 25]},
        {"name": "anyone-may-read", "action": "allow", "unauthenticated": True, "ports": [OPEN_PORT]},
    ],
}]}


def big_file():
    """Bytes without repetition, so that lost or duplicated parts are detected."""
    block = bytes(range(256)) * 16
    return b"".join(b"%012d" % number + block for number in range(BIG_BYTES // (len(block) + 12) + 1))[:BIG_BYTES]


class Stage:
    def __init__(self, story):
        sweep_leftovers()  # of a killed demo
        self.story = story
        self.mesh = Mesh(story, hosts=("shop", "store"), outsiders=("stranger",), leaf_ttl="%ds" % LEAF_S,
                         services=_SERVICES, policy=_POLICY, start=False)
        self.net, self.control = self.mesh.net, self.mesh.control
        self.shop, self.store, self.stranger = self.net.shop, self.net.store, self.net.stranger
        for name, address in (("web", WEB), ("db", DB), ("smtp", SMTP)):
            self._name(name, address)
        self.downloads = story.folder("downloads")

    def _name(self, name, address):
        for host in self.net.hosts.values():
            with open("/etc/netns/%s/hosts" % host.netns, "a") as file:
                file.write("%s %s\n" % (address, name))

    def start_apps(self, big):
        extra = "listen %d; listen [::]:%d ipv6only=on; location /big { limit_rate %d; }" % (
            OPEN_PORT, OPEN_PORT, BIG_RATE)
        self.nginx = self.story.own(Nginx(self.story, self.store, 8080, {"recipe": SECRET + b"\n", "big": big}, extra))
        self.story.own(StreamServer(self.story, self.store, 25, "greet"))
        self.postgres = self.story.own(Postgres(self.story, self.store))

    def start_sidecars(self):
        for name in ("shop", "store"):
            self.mesh.start_sidecar(name, wait=False)
        for name in ("shop", "store"):
            self.sidecar(name).wait_until_ready()

    def sidecar(self, name):
        return self.mesh.sidecar(name)

    def curl(self, host, url, *more, check=True):
        return host.run(["curl", "-sS", "--max-time", "8", *more, url], uid=APP_UID, check=check, cwd="/")

    def psql_argv(self, *more):
        return [self.postgres.bin + "/psql", "-h", "db", "-U", "postgres", "-AtqX", *more]

    def time_to_expiry_s(self, name):
        """Seconds until the certificate in use expires."""
        identity = self.sidecar(name).identity()
        return identity["time_to_expiry_seconds"] if identity else 0

    @staticmethod
    def is_from(line, host):
        """Whether a line of an access log is of a connection from this host."""
        return line["source"].rpartition(":")[0].strip("[]") in (host.ipv4, host.ipv6)

    def nginx_requests(self):
        with open(self.nginx.access_log) as file:
            return file.read().splitlines()

    def wait_until(self, what, predicate, deadline_s=10.0):
        return wait_until(what, predicate, deadline_s)
