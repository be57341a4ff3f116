"""The clocks of a process under test, which a story sets: by a preloaded library (test/preload)."""

import mmap
import os
import struct


class Clock:
    """The offsets of a process's clocks: the wall clock, and the one that includes suspend."""

    def __init__(self, story):
        path = os.path.join(story.root, "clock")
        with open(path, "w+b") as file:
            file.write(b"\0" * 16)
            file.flush()
            self._map = mmap.mmap(file.fileno(), 16)
        os.chmod(path, 0o644)
        self.words = ["env", "LD_PRELOAD=" + story.binary("set_clock.so"), "SET_CLOCK_FILE=" + path]

    def set(self, wall_s, boot_s=0):
        self._map[:] = struct.pack("=qq", wall_s * 1000, boot_s * 1000)
