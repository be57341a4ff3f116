"""What an operator changes: policy, bans, revocations, the root."""

import json

from handfast_harness import identity_of, wait_until

from soak.fault import CONTROLS, Fault, duration
from soak.traffic import MESHED, OPENING, STANDING


class _Policy(Fault):
    """Nothing of others fails: their traffic is in no way concerned."""

    targets, parameters = ("server",), staticmethod(duration(4, 8))
    phases, how = (OPENING, STANDING), ("reset", "refused")

    @classmethod
    def touches(cls, target):
        return {"server", "bystander", *CONTROLS}

    def causes(self):
        return (self.refuses,)


class StrictPort(_Policy):
    """The permissive port becomes strict, and permissive again."""

    name, refuses = "strict_port", "plain"

    def do(self):
        self.world.reload_policy(strict=True)

    def undo(self):
        self.world.reload_policy()


class DenyRule(_Policy):
    """A rule denies the bystander, and is removed."""

    name, refuses = "deny_rule", "bystander"

    def do(self):
        self.world.reload_policy(deny_bystander=True)

    def undo(self):
        self.world.reload_policy()


class Ban(_Policy):
    """The bystander is banned, and the ban lifted: its sidecar returns with the key that it had."""

    name, refuses, promise_s = "ban", "bystander", 45.0  # a sidecar that is refused tries again after 1 s, 2 s, 4 s and so on

    @classmethod
    def touches(cls, target):
        return super().touches(target) | {"disk of control", "etcd"}

    def do(self):
        self.world.control.run("ban", identity_of("bystander"))

    def undo(self):
        self.world.control.run("unban", identity_of("bystander"))


class Revoke(Fault):
    """`handfast revoke` of the certificate that a sidecar uses, or of the intermediate: what was opened with it ends, and no
    other. Each sidecar concerned gets another one on the stream that it has."""

    name, targets, parameters = "revoke", ("client", "server", "bystander", "intermediate"), staticmethod(duration(0, 2))
    phases, how, reasons = (OPENING, STANDING), ("reset",), ("peer_untrusted",)

    @classmethod
    def touches(cls, target):
        return {"client", "server", "bystander", *CONTROLS, "disk of control", "etcd"}

    def causes(self):
        return {"client": MESHED, "bystander": ("bystander",)}.get(self.target, (*MESHED, "bystander"))

    def do(self):
        names = self.world.mesh.sidecars if self.target == "intermediate" else [self.target]
        used = {sidecar: sidecar.serial() for sidecar in map(self.world.mesh.sidecar, names)}
        self.world.control.run("revoke", *(["--intermediate"] if self.target == "intermediate" else used.values()))
        if len(self.world.controls) > 1 and self.target == "intermediate":
            return  # each has one of its own
        for sidecar, serial in used.items():
            wait_until("another certificate of %s" % sidecar.name, lambda: sidecar.serial() != serial, 15, 0.1)

    def undo(self):
        pass


class RotateRoot(Fault):
    """`handfast ca rotate`: a new root, confirmed and taken by every sidecar. Nothing fails."""

    name, promise_s = "rotate_root", 90.0

    @classmethod
    def touches(cls, target):
        return {"ca", "disk of control"}

    def _run(self, *words):
        """What the command prints, parsed; None where no control plane answers, or it refuses."""
        done = self.world.control.run("ca", *words, "--output", "json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def _has_begun(self):
        """Again where another fault has killed the control plane meanwhile."""
        self._run("rotate")
        status = self._run("status")
        return status is not None and status["number"] == self.number

    def do(self):
        self.world.num_rotations += 1
        self.number = self.world.num_rotations
        wait_until("rotation %d to begin" % self.number, self._has_begun, 30, 0.3)

    def undo(self):
        pass

    def what_lacks(self):
        if lacks := super().what_lacks():
            return lacks
        status = self._run("status")
        return "" if status and (status["phase"], status["number"]) == ("none", self.number) else "the rotation is not over: %s" % status
