"""Links, packets, disks, clocks and the interception rules of a host."""

from handfast_harness import wait_until

from soak.arrangement import CLOCKED_SIDECARS
from soak.fault import Fault, duration
from soak.traffic import MESHED, OPENING, STANDING


class LinkDown(Fault):
    """A host's link is down. What is open goes on afterwards; what is new fails, or waits."""

    name, targets, parameters = "link_down", ("client", "server", "control"), staticmethod(duration(1, 5))
    every_control = True
    phases, how = (OPENING,), ("reset", "unreachable", "timeout")

    def do(self):
        self.world.mesh.net.router.ip("link set to-%s down" % self.target)

    def undo(self):
        self.world.mesh.net.router.ip("link set to-%s up" % self.target)


class Loss(Fault):
    """Some of a host's packets are lost, in both directions. A tunnel may not open within its 2 s."""

    name, targets = "loss", ("client", "server", "control")
    phases, how = (OPENING,), ("reset", "timeout")

    @staticmethod
    def parameters(random_of):
        return {**duration(3, 8)(random_of), "percent": random_of.randint(5, 20)}

    def do(self):
        host = self.world.mesh.net.hosts[self.target]
        drop = "numgen random mod 100 < %d drop; " % self.percent
        rules = ["ip %s %s %s" % (way, host.ipv4, drop) for way in ("saddr", "daddr")]
        rules += ["ip6 %s %s %s" % (way, host.ipv6, drop) for way in ("saddr", "daddr")]
        self.world.mesh.net.router.run(["nft", "table inet %s { chain c { type filter hook forward priority 0; %s }; }" %
                                        (self._table(), "".join(rules))])

    def _table(self):
        return "loss_" + self.target

    def undo(self):
        self.world.mesh.net.router.run(["nft", "delete table inet " + self._table()])


class DiskFull(Fault):
    """The disk of a state folder is full. Nothing fails: identities are renewed, and what is not kept is kept later."""

    name, targets, parameters = "disk_full", ("control", "client", "server"), staticmethod(duration(3, 8))

    @classmethod
    def touches(cls, target):
        return {"disk of " + target}

    def causes(self):
        return ()

    def do(self):
        self.world.disks[self.target].fill()

    def undo(self):
        self.world.disks[self.target].free()


class SetClock(Fault):
    """The clock of a control plane or a sidecar is hours ahead or behind for seconds. Nothing fails, but what a sidecar that
    is ahead would open: to it every certificate has expired."""

    name, targets, phases, how = "set_clock", ("control", *CLOCKED_SIDECARS), (OPENING,), ("reset",)

    @staticmethod
    def parameters(random_of):
        return {**duration(1, 4)(random_of), "wall_s": random_of.choice((-1, 1)) * random_of.randint(1, 6) * 3600}

    @classmethod
    def touches(cls, target):
        return {"control", "ca"} if target == "control" else {target}

    @property
    def reasons(self):
        return () if self.target == "control" or self.wall_s < 0 else ("peer_expired",)

    def causes(self):
        return {"server": (*MESHED, "bystander"), "bystander": ("bystander",)}.get(self.target, ()) if self.wall_s > 0 else ()

    def do(self):
        self.world.clocks[self.target].set(self.wall_s)

    def undo(self):
        self.world.clocks[self.target].set(0)


class BootClock(Fault):
    """A sidecar is killed, starts with a clock that is years or hours behind, or hours ahead, and the clock is corrected.
    One that is behind serves at once, one that is ahead once it is corrected."""

    name, targets = "boot_clock", CLOCKED_SIDECARS
    phases, how = (OPENING, STANDING), ("reset", "refused")
    _AHEAD_S = (-1_700_000_000, -6 * 3600, 3600, 6 * 3600)  # first: as of a machine without a battery

    @classmethod
    def parameters(cls, random_of):
        return {**duration(1, 4)(random_of), "wall_s": random_of.choice(cls._AHEAD_S)}

    @property
    def reasons(self):
        return ("peer_expired",) if self.wall_s > 0 else ()

    def do(self):
        sidecar = self.world.mesh.sidecar(self.target)
        sidecar.kill()
        self.world.clocks[self.target].set(self.wall_s)
        sidecar.launch()
        if self.wall_s < 0:
            sidecar.wait_until_ready(20)

    def undo(self):
        self.world.clocks[self.target].set(0)


class RulesGone(Fault):
    """The interception rules of a host are deleted, as by a restart of nftables, and written again. Its sidecar is not
    ready meanwhile; the client's calls leave in plaintext and are refused; plaintext reaches the server past its sidecar."""

    name, targets, parameters = "rules_gone", ("client", "server"), staticmethod(duration(0, 3))
    phases, how = (OPENING, STANDING), ("reset", "refused", "timeout")

    @classmethod
    def touches(cls, target):
        return {"client", "server"}

    @property
    def plaintext_from(self):
        return self.target

    @property
    def exposes(self):
        return "strict" if self.target == "server" else None

    def causes(self):
        return MESHED if self.target == "client" else ("plain",)

    def do(self):
        sidecar = self.world.mesh.sidecar(self.target)
        sidecar.host.run(["nft", "delete table inet handfast"])
        wait_until("the sidecar of %s to notice that its rules are gone" % self.target, lambda: not sidecar.is_ready(), 15, 0.2)

    def undo(self):
        self.world.mesh.sidecar(self.target).intercept()
