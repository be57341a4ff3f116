"""The faults of a soak, one class each: what it does, how it is undone, and what it may cause. A failure of the traffic
that no fault explains fails the run.

TABLE["kill_sidecar"](world, "client", duration_s=1.5).do(); ...undo(); what_lacks() == "" when it has recovered"""

import json
import os
import signal
import time

from handfast_harness import identity_of, wait_until

from soak.arrangement import control_names
from soak.traffic import MESHED, OPENING, STANDING

_CONTROLS = control_names(3)
_THROUGH = {"client": MESHED, "server": (*MESHED, "bystander", "plain")}  # the traffic that a host takes part in


def _duration(low_s, high_s):
    return lambda random_of: {"duration_s": round(random_of.uniform(low_s, high_s), 1)}


class Fault:
    """Explains a failure from do() until `grace_s` after all is whole again, which must be `promise_s` after undo()."""

    name, targets, every_control = "", ("control",), False  # every_control: each control plane is a target, too
    parameters = staticmethod(_duration(1, 4))  # parameters(random) -> a dict for the constructor
    phases, how = (), ()  # of the failures that it may cause: before the first byte came back, or after it
    grace_s, promise_s = 3.0, 15.0
    refuses, in_force_s = None, 3.0  # the traffic that it must have refused from so long after do() until undo()

    def __init__(self, world, target, duration_s, **more):
        self.world, self.target, self.duration_s = world, target, duration_s
        vars(self).update(more)  # further parameters, as attributes
        self.began = self.done = self.undone = self.whole = None  # moments
        self.took_s, self.explained = 0.0, []  # from the end of all faults of the step until whole; the failures that it explains

    @classmethod
    def targets_of(cls, num_controls):
        return cls.targets + (control_names(num_controls)[1:] if cls.every_control else ())

    @classmethod
    def touches(cls, target):
        """What two faults at once must not share."""
        return {target}

    def do(self):
        raise NotImplementedError

    def undo(self):
        raise NotImplementedError

    def what_lacks(self):
        return self.world.what_lacks()

    def causes(self):
        """The kinds of traffic that it may make fail."""
        return _THROUGH.get(self.target, ())

    def explains(self, failure):
        if failure.kind not in self.causes() or failure.phase not in self.phases or failure.how not in self.how:
            return False
        return failure.at >= self.began and (self.whole is None or failure.since <= self.whole + self.grace_s)

    def must_have_refused(self, served):
        return self.refuses == served.kind and served.since > self.done + self.in_force_s and served.at < self.undone


class _OfASidecar(Fault):
    targets = ("client", "server")

    @property
    def sidecar(self):
        return self.world.mesh.sidecar(self.target)


class KillSidecar(_OfASidecar):
    """kill -9, and a start after it. What is open is reset, never ended; what is new is refused until it is back."""

    name, parameters = "kill_sidecar", staticmethod(_duration(0, 3))
    phases, how = (OPENING, STANDING), ("reset", "refused")

    def do(self):
        self.sidecar.kill()

    def undo(self):
        self.sidecar.launch()


class UpgradeSidecar(_OfASidecar):
    """A new process takes over. Nothing fails."""

    name, parameters = "upgrade_sidecar", staticmethod(_duration(0, 1))

    def do(self):
        self.world.former.append((self.sidecar.upgrade(30), time.monotonic()))

    def undo(self):
        pass


class KillUpgrade(KillSidecar):
    """kill -9 of a process that takes over, at any moment of it. Before it has, nothing fails; after it, as kill_sidecar."""

    name, was_taken = "kill_upgrade", False

    @staticmethod
    def parameters(random_of):
        return {**_duration(0, 2)(random_of), "after_s": round(random_of.uniform(0, 0.2), 3)}

    def causes(self):
        return super().causes() if self.was_taken else ()

    def do(self):
        before, since = self.sidecar.process, len(self.sidecar.process.log())
        log = lambda: before.log()[since:]
        late = self.sidecar.prepare()
        time.sleep(self.after_s)  # duration: until the moment of the kill
        late.kill()
        ends = ("does not take over; going on", "serves from now on; ending")
        wait_until("the process before to notice it", lambda: "prepares to take over" not in log() or any(end in log() for end in ends), 10)
        self.was_taken = ends[1] in log()
        if self.was_taken:
            self.world.story.own(before)
            self.world.former.append((before, time.monotonic()))
            self.sidecar.process = late

    def undo(self):
        if self.was_taken:
            self.sidecar.launch()


class StopSidecar(_OfASidecar):
    """SIGSTOP and SIGCONT. A caller's sidecar that stands still fails nothing; a tunnel that opens to one fails after 2 s."""

    name, parameters, phases = "stop_sidecar", staticmethod(_duration(1, 5)), (OPENING,)

    @property
    def how(self):
        return ("reset",) if self.target == "server" else ()

    def causes(self):
        return () if self.target == "client" else (*MESHED, "bystander")

    def do(self):
        self.sidecar.process.signal(signal.SIGSTOP)

    def undo(self):
        self.sidecar.process.signal(signal.SIGCONT)


class KillControl(Fault):
    """kill -9 of the control plane and its signer. Nothing fails."""

    name, parameters, every_control = "kill_control", staticmethod(_duration(0, 3)), True

    def do(self):
        self.world.controls[self.target].kill()

    def undo(self):
        self.world.controls[self.target].start(30)


class StopControl(Fault):
    """SIGSTOP and SIGCONT of the control plane and its signer. Nothing fails."""

    name, parameters, every_control = "stop_control", staticmethod(_duration(1, 5)), True

    def _signal(self, number):
        process = self.world.controls[self.target].process
        for pid in [process.pid] + process.children():
            os.kill(pid, number)

    def do(self):
        self._signal(signal.SIGSTOP)

    def undo(self):
        self._signal(signal.SIGCONT)


class LinkDown(Fault):
    """A host's link is down. What is open goes on afterwards; what is new fails, or waits."""

    name, targets, parameters = "link_down", ("client", "server", "control"), staticmethod(_duration(1, 5))
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
        return {**_duration(3, 8)(random_of), "percent": random_of.randint(5, 20)}

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

    name, targets, parameters = "disk_full", ("control", "client", "server"), staticmethod(_duration(3, 8))

    @classmethod
    def targets_of(cls, num_controls):
        """With a store in etcd a control plane has no reserve on its own disk, and does not start while that is full."""
        return cls.targets if num_controls == 1 else cls.targets[1:]

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
    """The control plane's clock is hours ahead for seconds. Nothing fails."""

    name = "set_clock"

    @staticmethod
    def parameters(random_of):
        return {**_duration(1, 4)(random_of), "wall_s": random_of.randint(1, 6) * 3600}

    @classmethod
    def touches(cls, target):
        return {"control", "ca"}

    def do(self):
        self.world.clock.set(self.wall_s)

    def undo(self):
        self.world.clock.set(0)


class _Policy(Fault):
    """Nothing of others fails: their traffic is in no way concerned."""

    targets, parameters = ("server",), staticmethod(_duration(4, 8))
    phases, how = (OPENING, STANDING), ("reset", "refused")

    @classmethod
    def touches(cls, target):
        return {"server", "bystander", *_CONTROLS}

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
        return super().touches(target) | {"disk of control"}

    def do(self):
        self.world.control.run("ban", identity_of("bystander"))

    def undo(self):
        self.world.control.run("unban", identity_of("bystander"))


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


TABLE = {kind.name: kind for kind in (KillSidecar, UpgradeSidecar, KillUpgrade, StopSidecar, KillControl, StopControl, LinkDown, Loss, DiskFull,
                                      SetClock, StrictPort, DenyRule, Ban, RotateRoot)}
