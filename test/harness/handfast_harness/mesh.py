"""A mesh on a topology: a control plane, meshed hosts, and outsiders without a sidecar.

    mesh = Mesh(story, hosts=("client", "server"), outsiders=("stranger",), leaf_ttl="10s")
    mesh.client.connect(mesh.server.ipv4, 80, uid=1000)          hosts are namespaces
    mesh.sidecar("client").admin("/certs")                       their sidecars
    mesh.control.reload(policy={...})

            control --- router --- client [sidecar]
                          |   |
                    stranger  server [sidecar]

Each meshed host has the identity spiffe://cluster.local/ns/default/sa/HOST. Outside of stories: Story(folder)."""

from . import settings
from .control_plane import ControlPlane
from .sidecar import Sidecar

NETWORKS = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"]  # all of a topology
TRUST_DOMAIN = "cluster.local"
# For start_sidecar(): a host of the mode tproxy.
TPROXY = {"rules": ["--mode", "tproxy"], "configuration": {"interception": "tproxy"}, "capabilities": "+net_raw"}


def identity_of(name):
    return "spiffe://%s/ns/default/sa/%s" % (TRUST_DOMAIN, name)


class Mesh:
    """`policy`, `services`, `entries`: sections of the control plane's settings; `control` and `sidecar`: further
    settings
    of theirs; `sidecars`: {host: further settings}; `rules`: flags of handfast-init, None: no rules. With start=False nothing runs yet: call start_control(), then
    start_sidecar(host) per host, or start()."""

    def __init__(self, story, hosts=("client", "server"), outsiders=(), leaf_ttl="10s", policy=None, services=(),
                 entries=(), control=None, sidecar=None, sidecars=None, workers=1, rules=(), start=True):
        self.story = story
        self.net = story.topology("control", *hosts, *outsiders)
        self.control = ControlPlane(story, self.net.control, settings.merge({
            "trust_domain": TRUST_DOMAIN,
            "identity": {"leaf_ttl": leaf_ttl, "attest_per_second": 1000},
            "mesh": {"networks": NETWORKS},
            "policy": policy or {},
            "services": list(services),
            "entries": list(entries),
        }, control))
        self._hosts, self._rules = hosts, rules
        self._settings = settings.merge({"workers": workers}, sidecar)
        self._each = sidecars or {}
        self.sidecars = {}
        if start:
            self.start()

    def __getattr__(self, name):
        """A host of the topology."""
        return getattr(self.__dict__["net"], name)

    def start(self):
        self.start_control()
        for name in self._hosts:
            self.start_sidecar(name, wait=False)
        for sidecar in self.sidecars.values():
            sidecar.wait_until_ready()
        return self

    def start_control(self):
        self.control.start()
        return self

    def make_sidecar(self, name, identity=None, token=None, **more):
        """The sidecar of a host, not yet running; a token is made unless one is given."""
        identity = identity or identity_of(name)
        token = token or self.control.token(identity)
        configuration = settings.merge(self._settings, self._each.get(name))
        self.sidecars[name] = Sidecar(self.story, self.net.hosts[name], identity, self.control.addresses, token,
                                      settings.merge(configuration, more.pop("configuration", None)),
                                      rules=more.pop("rules", self._rules), **more)
        return self.sidecars[name]

    def start_sidecar(self, name, wait=True, **more):
        sidecar = self.make_sidecar(name, **more)
        if sidecar.rules is not None:
            sidecar.intercept()
        return sidecar.start() if wait else sidecar.launch() and sidecar

    def sidecar(self, name):
        return self.sidecars[name]
