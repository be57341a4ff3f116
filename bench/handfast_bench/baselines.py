"""Baselines that no proxy can beat: a direct connection, and relays that only copy bytes."""

from .pair import Pair
from .world import APP, OUTBOUND, TUNNEL


class Direct(Pair):
    """No proxy and no rules."""
    name, is_baseline = "direct", True

    def start(self, world):
        self._world = world
        world.intercept(False)

    def stop(self):
        self._world.intercept(True)


class Relay(Pair):
    """Two of Handfast's relays for plain TCP, without TLS and policy."""
    name, is_baseline = "relay", True
    programs = ("tunnel_pair",)

    def start(self, world):
        a, b = world.net.a, world.net.b
        program = world.binary("tunnel_pair")
        self.far = world.side(b, "relay", [program, "plain", "-", "0.0.0.0:%d" % TUNNEL, "%s:%d" % (b.ipv4, APP)])
        self.far.wait_for_port(TUNNEL)
        self.near = world.side(a, "relay", [program, "plain", "-", "127.0.0.1:%d" % OUTBOUND,
                                            "%s:%d" % (b.ipv4, TUNNEL)])
        self.near.wait_for_port(OUTBOUND)
