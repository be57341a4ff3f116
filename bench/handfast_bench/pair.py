"""One pair: a near side in a and a far side in b."""

from . import cost


class Pair:
    name = ""
    is_baseline = False  # baselines and Handfast's own pairs are shown, but are no peers for comparison
    is_ours = False
    is_default = True  # measured where no pairs are named
    programs = ()  # Handfast's programs that it needs, by name
    tools = None  # a folder for tools that apt does not have

    def __init__(self):
        self.near = self.far = None

    @classmethod
    def unavailable_reason(cls):
        """Why this pair cannot be measured here, or None."""
        return None

    def start(self, world):
        """Starts both sides (self.near, self.far: a Process each) and waits until they listen."""
        raise NotImplementedError

    def stop(self):
        for side in (self.near, self.far):
            if side is not None:
                side.stop()

    def pids(self):
        return cost.with_children([side.pid for side in (self.near, self.far) if side is not None])
