"""Handfast: its tunnel alone, and the programs as they ship."""

from .pair import Pair
from .world import APP, OUTBOUND, SIDECAR, TUNNEL


class TunnelOnly(Pair):
    """Both ends of the tunnel and the relay, as two processes with fixed certificates: no policy, no discovery."""
    name, is_ours = "tunnel", True

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
