"""What every fault of a soak is: what it does, how it is undone, and what it may cause. A failure of the traffic that no
fault explains fails the run."""

from soak.arrangement import control_names
from soak.traffic import MESHED

CONTROLS = control_names(3)
THROUGH = {"client": MESHED, "server": (*MESHED, "bystander", "plain"), "bystander": ("bystander",)}  # the traffic that a host takes part in


def duration(low_s, high_s):
    return lambda random_of: {"duration_s": round(random_of.uniform(low_s, high_s), 1)}


class Fault:
    """Explains a failure from do() until `grace_s` after all is whole again, which must be `promise_s` after undo()."""

    name, targets, every_control = "", ("control",), False  # every_control: each control plane is a target, too
    parameters = staticmethod(duration(1, 4))  # parameters(random) -> a dict for the constructor
    phases, how = (), ()  # of the failures that it may cause: before the first byte came back, or after it
    grace_s, promise_s = 3.0, 15.0
    refuses, in_force_s = None, 3.0  # the traffic that it must have refused from so long after do() until undo()
    exposes = plaintext_from = None  # the traffic that may be served meanwhile though it is refused else; the host whose plaintext is on the wire
    reasons = ()  # close reasons that nothing else may cause

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
        return THROUGH.get(self.target, ())

    def lasts(self, since, at):
        """Whether it had an effect in that time, given as moments."""
        return self.began is not None and at >= self.began and (self.whole is None or since <= self.whole + self.grace_s)

    def explains(self, failure):
        if failure.kind not in self.causes() or failure.phase not in self.phases or failure.how not in self.how:
            return False
        return self.lasts(failure.since, failure.at)

    def must_have_refused(self, served):
        return self.refuses == served.kind and served.since > self.done + self.in_force_s and served.at < self.undone


class OfASidecar(Fault):
    targets = ("client", "server")

    @property
    def sidecar(self):
        return self.world.mesh.sidecar(self.target)
