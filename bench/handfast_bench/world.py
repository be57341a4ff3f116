"""The two namespaces, with the interception rules in both, the application in b, and the load in a.

    a: load (uid 1000) -> 15001 near side (uid 1337) --- router --- b: 15008 far side (uid 1337) -> 9000 application
                                                           |
                                                        control: further programs of the pair, not measured"""

import json
import os
import subprocess

from handfast_harness import Process, TestAuthority, Topology

OUTBOUND, TUNNEL, APP = 15001, 15008, 9000
WORKLOAD, SIDECAR = 1000, 1337
NEAR_ID, FAR_ID = "spiffe://cluster.local/ns/bench/sa/near", "spiffe://cluster.local/ns/bench/sa/far"
FAR_NAME = "far.test"  # for peers that verify host names alone


class World:
    """with World(folder, binary) as world: ...; binary(name) is the path of one of Handfast's programs."""

    def __init__(self, folder, binary, congestion):
        self.root, self.binary, self.congestion = folder, binary, congestion

    def __enter__(self):
        self.net = Topology("a", "b", "control")
        try:
            for host in (self.net.a, self.net.b):
                self._prepare(host)
            self._write_certificates()
            self.intercept(True)
            argv = [self.binary("load"), "serve", "[::]:%d" % APP]
            self._app = Process(self.net.b, "app", argv, self.log_path("app"), uid=WORKLOAD)
            self._app.wait_for_port(APP)
        except BaseException:
            self.net.remove()
            raise
        return self

    def __exit__(self, *_):
        self._app.stop()
        self.net.remove()

    def _prepare(self, host):
        host.sysctl("net/ipv4/tcp_congestion_control", self.congestion)
        # One new connection per request uses up ports and conntrack entries faster than they expire.
        host.sysctl("net/ipv4/ip_local_port_range", "16000 65535")
        host.sysctl("net/ipv4/tcp_tw_reuse", "1")

    def intercept(self, on):
        for host in (self.net.a, self.net.b):
            host.run([self.binary("handfast-init"), "up" if on else "down"])
            self._expire_soon(host)

    @staticmethod
    def _expire_soon(host):
        try:
            host.sysctl("net/netfilter/nf_conntrack_tcp_timeout_time_wait", "1")
        except FileNotFoundError:
            pass  # the first rule that needs the module loads it

    def _write_certificates(self):
        authority = TestAuthority()
        folder = self.folder("certificates")
        self.root_pem = authority.write_bundle(folder)
        self.near_pem = authority.leaf(NEAR_ID, dns_names=["near.test"]).write(folder, "near")
        self.far_pem = authority.leaf(FAR_ID, dns_names=[FAR_NAME]).write(folder, "far")
        for name in os.listdir(folder):
            os.chown(os.path.join(folder, name), SIDECAR, SIDECAR)

    def folder(self, name):
        """A new folder, writable by the sidecar's user. A name may be used again."""
        path, number = os.path.join(self.root, name), 0
        while os.path.exists(path):
            number += 1
            path = os.path.join(self.root, "%s-%d" % (name, number))
        os.makedirs(path)
        os.chown(path, SIDECAR, SIDECAR)
        return path

    def log_path(self, name):
        return os.path.join(self.root, name + ".log")

    def write(self, name, text):
        path = os.path.join(self.root, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def side(self, host, name, argv, uid=SIDECAR):
        return Process(host, name, argv, self.log_path("%s-%s" % (name, host.name)), uid=uid, cwd=self.root)

    def _load_argv(self, mode, settings, address=None):
        target = "[%s]:%d" % (address, APP) if address else "%s:%d" % (self.net.b.ipv4, APP)
        return [self.binary("load"), mode, target] + ["%s=%d" % (key, value) for key, value in settings.items()]

    def load(self, mode, address=None, **settings):
        """Runs one load to its end, to the application or to an IPv6 address of it; returns its result."""
        argv = self.net.a.argv(self._load_argv(mode, settings, address), uid=WORKLOAD)
        done = subprocess.run(argv, capture_output=True, text=True, timeout=settings.get("seconds", 2) + 30)
        if done.returncode != 0:
            raise RuntimeError("load %s ended with %d: %s" % (mode, done.returncode, done.stderr))
        return json.loads(done.stdout)

    def hold(self, **settings):
        """Starts a load of idle connections; returns it when all are open."""
        idle = Process(self.net.a, "idle", self._load_argv("idle", settings), self.log_path("idle"), uid=WORKLOAD)
        return idle.wait_for_log("ready\n", deadline_s=settings.get("seconds", 30))
