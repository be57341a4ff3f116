"""Handfast: its tunnel alone, the shipped programs, and those of another release."""

import contextlib
import os
import shutil

from handfast_harness.control_plane import ControlPlane
from handfast_harness.sidecar import Sidecar

from .pair import Pair
from .world import APP, FAR_ID, NEAR_ID, OUTBOUND, SIDECAR, TUNNEL


class Handfast(Pair):
    """handfast-sidecar on both sides, with a control plane on a host of its own: identity by join token, default policy,
    default access log, one worker."""
    name, is_ours = "handfast", True
    programs = ("handfast-sidecar", "handfast-control", "handfast")

    def start(self, world):
        self._stack = contextlib.ExitStack()
        world.own = self._stack.enter_context  # the harness's interface of a story, while this pair runs
        control = ControlPlane(world, world.net.control, {
            "trust_domain": "cluster.local",
            "log": {"level": "notice"},
            "identity": {"attest_per_second": 1000},
            "mesh": {"networks": ["%s/32" % host.ipv4 for host in (world.net.a, world.net.b)]},
            **self.control_settings,
        }).start()
        sidecars = [self._side(world, control, world.net.b, FAR_ID), self._side(world, control, world.net.a, NEAR_ID)]
        self.far, self.near = (sidecar.process for sidecar in sidecars)

    settings, control_settings = {}, {}  # further settings of its sidecars, and of its control plane

    def _side(self, world, control, host, identity):
        settings = {"workers": 1, "access_log": "failures", "log": {"level": "notice"}, **self.settings}
        return Sidecar(world, host, identity, control.address, control.token(identity), settings).start()

    def stop(self):
        self._stack.close()


class HandfastBefore(Handfast):
    """The same with the programs in the folder HANDFAST_BEFORE, a release to compare with, under its own interception rules."""
    name, is_default, programs = "handfast-before", False, ()
    settings = {"drain_minimum": None}  # 0.1.0 does not have it

    @classmethod
    def unavailable_reason(cls):
        return None if os.environ.get("HANDFAST_BEFORE") else "HANDFAST_BEFORE names no folder of programs"

    def start(self, world):
        self._world, self._ours = world, world.binary
        folder, names = world.folder("before"), (*Handfast.programs, "handfast-init")
        for name in names:
            shutil.copy(os.path.join(os.environ["HANDFAST_BEFORE"], name), folder)
            os.chmod(os.path.join(folder, name), 0o755)
        self._change(world, lambda name: os.path.join(folder, name) if name in names else self._ours(name))
        super().start(world)

    def stop(self):
        super().stop()
        self._change(self._world, self._ours)

    @staticmethod
    def _change(world, binary):
        world.intercept(False)
        world.binary = binary
        world.intercept(True)


class TunnelOnly(Pair):
    """Both ends of the tunnel and the relay, as two processes with fixed certificates: no policy, no discovery."""
    name, is_ours = "tunnel", True
    programs = ("tunnel_pair",)

    def start(self, world):
        a, b = world.net.a, world.net.b
        program = world.binary("tunnel_pair")
        folder = world.folder("tunnel-certificates")
        b.run([program, "certs", folder], uid=SIDECAR)
        target = "%s:%d" % (b.ipv4, APP)
        self.far = world.side(b, "tunnel", [program, "far", folder, "0.0.0.0:%d" % TUNNEL, target])
        self.far.wait_for_port(TUNNEL)
        self.near = world.side(a, "tunnel", [program, "near", folder, "127.0.0.1:%d" % OUTBOUND, target])
        self.near.wait_for_port(OUTBOUND)
