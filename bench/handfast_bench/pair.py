"""One pair: a near side in a and a far side in b."""

from . import cost


class Pair:
    name = ""
    is_floor = False  # floors and pairs of ours are shown, but nobody is compared with them
    is_ours = False
    is_default = True  # measured where no pairs are named
    programs = ()  # of ours, by name, that it needs built
    tools = None  # a folder where a pair may put what apt does not have

    def __init__(self):
        self.near = self.far = None

    @classmethod
    def why_not(cls):
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
