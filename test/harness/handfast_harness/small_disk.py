"""A small file system over a folder that is empty yet, which can be filled to its last block."""

import contextlib
import os
import subprocess


class SmallDisk:
    """with SmallDisk(path, uid, "3m") as disk: disk.fill(); disk.free()"""

    def __init__(self, path, uid, size):
        self.path, self._filler = path, os.path.join(path, "filler")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%s,mode=0700,uid=%d,gid=%d" % (size, uid, uid), "none", path], check=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.path], check=True)

    def fill(self):
        with open(self._filler, "ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)

    def free(self):
        os.unlink(self._filler)
