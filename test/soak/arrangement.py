"""The mesh of a soak, and what its faults change: disks that can be filled, a clock that can be set, a policy.

    control [clock, disk] --- router (captured here) --- client [sidecar on a disk of its own]
                                |
      stranger (no sidecar) ----+--- server [sidecar: disk, clock], bystander [sidecar: clock], denied [sidecar]

With several control planes: control2 and so on, and their store is in etcd, of three members on hosts of their own.
Certificates live 30 s: each sidecar renews every 15 to 20 s. Sidecars have two workers. Programs whose clock can be set are
linked dynamically, the others as they ship."""

import mmap
import os
import struct

from handfast_harness import Mesh, identity_of
from handfast_harness.control_plane import CONTROL_UID, SIDECAR_UID, STREAMS
from handfast_harness.control_planes import another_control_plane, carry_keys
from handfast_harness.etcd import Etcd
from handfast_harness.process import Process
from handfast_harness.small_disk import SmallDisk

from soak import applications, traffic

LEAF_TTL = "30s"
CLOCKED_SIDECARS = ("server", "bystander")
ETCD = ("etcd1", "etcd2", "etcd3")
_MESHED_HOSTS = ("client", "server", "bystander", "denied")


class Clock:
    """The wall clock of the processes with that environment, which must be linked dynamically."""

    def __init__(self, story, name):
        path = os.path.join(story.root, "clock-" + name)
        with open(path, "w+b") as file:
            file.write(b"\0" * 16)
            file.flush()
            self._map = mmap.mmap(file.fileno(), 16)
        os.chmod(path, 0o644)
        self.environment = {"LD_PRELOAD": story.binary("set_clock.so"), "SET_CLOCK_FILE": path}

    def set(self, wall_s):
        self._map[:] = struct.pack("=qq", wall_s * 1000, 0)


def policy_of(strict=False, deny_bystander=False):
    """Of the server: who may call, and whether the port of the stranger takes plaintext."""
    mesh_rule = {"name": "mesh", "sources": [{"id": identity_of(name)} for name in ("client", "bystander")],
                 "ports": [traffic.ECHO, traffic.SOURCE, traffic.HASH, traffic.WEB]}
    rules = [mesh_rule, {"name": "plain", "unauthenticated": True, "ports": [traffic.PERMISSIVE]}]
    if deny_bystander:  # at one port: a source without identity matches every denial of an identity
        rules.append({"name": "not-now", "action": "deny", "sources": [{"id": identity_of("bystander")}], "ports": [traffic.ECHO]})
    mode = "strict" if strict else "permissive"
    return {"default_mode": "strict", "workloads": [{"identity": identity_of("server"), "rules": rules,
                                                     "ports": [{"port": traffic.PERMISSIVE, "mode": mode}]}]}


def control_names(number):
    return ("control", "control2", "control3")[:number]


class World:
    def __init__(self, story, num_controls=1):
        self.story, others = story, control_names(num_controls)[1:]
        stores = ETCD if others else ()
        mesh = self.mesh = Mesh(story, hosts=_MESHED_HOSTS, outsiders=("stranger", *others, *stores), leaf_ttl=LEAF_TTL,
                                policy=policy_of(), workers=2, start=False)
        self.control, self.clocks = mesh.control, {name: Clock(story, name) for name in ("control", *CLOCKED_SIDECARS)}
        self.controls = {"control": mesh.control}
        self.disks = {"control": story.own(SmallDisk(mesh.control.state, CONTROL_UID, "16m"))}
        mesh.control.launch = self._launch_control
        if others:
            self.etcd = Etcd(story, [mesh.net.hosts[name] for name in stores]).start()
            mesh.control.configure({"store": self.etcd.settings()})
        mesh.start_control()
        for name in others:
            self.controls[name] = another_control_plane(mesh.control, mesh.net.hosts[name])
            carry_keys(mesh.control, self.controls[name])
            self.controls[name].start()
        self._start_sidecars()
        for name in (*mesh.sidecars, *self.controls, *stores):
            mesh.net.router.sysctl("net/ipv6/conf/to-%s/keep_addr_on_down" % name, 1)
        self.applications = applications.start(story, mesh.server)
        self.former = []  # processes that were upgraded
        self.num_rotations = 0  # of the root

    def _start_sidecars(self):
        mesh = self.mesh
        more = {"control": {"address": ["%s:%d" % (each.host.ipv4, STREAMS) for each in self.controls.values()]}}
        for name in _MESHED_HOSTS:
            sidecar = mesh.make_sidecar(name, configuration=more if len(self.controls) > 1 else None, **self._clocked(name)).intercept()
            if name in ("client", "server"):
                self.disks[name] = self.story.own(SmallDisk(sidecar.state, SIDECAR_UID, "256k"))
            sidecar.launch()
        for sidecar in mesh.sidecars.values():
            sidecar.wait_until_ready(30)

    def _clocked(self, name):
        if name not in self.clocks:
            return {}
        return {"environment": self.clocks[name].environment, "binary": "handfast-sidecar-dynamic"}

    def _launch_control(self):
        """As ControlPlane.launch, with a clock that can be set."""
        control = self.control
        control.process = Process(control.host, "handfast-control", [self.story.binary("handfast-control-dynamic"), "--config", control.path],
                                  self.story.log_path("handfast-control"), uid=CONTROL_UID, env=self.clocks["control"].environment)
        return control.process

    def processes(self):
        """{name: process} of what must run."""
        controls = {name: control.process for name, control in self.controls.items()}
        return {**controls, **{name: sidecar.process for name, sidecar in self.mesh.sidecars.items()}}

    def what_has_ended(self):
        """Which process does not run, and its exit code (negative: the signal), or nothing."""
        for name, process in self.processes().items():
            if process.exit_code is not None:
                return "%s has ended with %d" % (name, process.exit_code)
        return ""

    def what_lacks(self):
        """Why it is not whole: "" when each process runs and each sidecar is ready and connected."""
        if ended := self.what_has_ended():
            return ended
        for name, sidecar in self.mesh.sidecars.items():
            try:
                if (probe := sidecar.probe())[0] != 200:
                    return "%s is not ready: %s" % (name, probe[1])
                if sidecar.metric("handfast_control_plane_connected") != 1:
                    return "%s is not connected to the control plane" % name
            except OSError as error:
                return "%s: no answer to a probe (%s)" % (name, error)
        return ""

    def what_store_lacks(self):
        """Why a change could not be stored: "" when each member of etcd answers, and each control plane has its answers."""
        if (done := self.etcd.ctl("endpoint", "health", check=False)).returncode != 0:
            return "etcd: " + done.stderr.strip()
        for name, control in self.controls.items():
            try:
                if silent_s := control.metrics()["handfast_control_store_silent_seconds"]:
                    return "%s has no answer of etcd for %d s" % (name, silent_s)
            except OSError as error:
                return "%s: no metrics (%s)" % (name, error)
        return ""

    def reload_policy(self, **changes):
        for control in self.controls.values():
            control.reload(policy=policy_of(**changes))
