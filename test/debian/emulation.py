"""Programs of arm64 on this machine, by Debian's qemu-user-static and the kernel's binfmt_misc: where nothing has registered it
yet, as without systemd, for as long as the tests run."""

import contextlib
import pathlib
import subprocess
import tempfile

from machine import Failure, run

NAME, QEMU = "qemu-aarch64", pathlib.Path("/usr/bin/qemu-aarch64-static")
# Of the package: the first bytes of a program of arm64, and that the kernel opens QEMU at once, so that a chroot needs no copy.
FORMAT = pathlib.Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
NEEDED = ["/usr/bin/aarch64-linux-gnu-g++", str(QEMU), str(FORMAT)]  # the packages of docker/apt-packages-arm64.txt


def missing():
    return [path for path in NEEDED if not pathlib.Path(path).exists()]


@contextlib.contextmanager
def emulated():
    with tempfile.TemporaryDirectory(prefix="handfast-binfmt-") as folder:
        run("mount", "-t", "binfmt_misc", "binfmt_misc", folder)
        entry = pathlib.Path(folder, NAME)
        was_there = entry.exists()
        try:
            if not was_there:
                pathlib.Path(folder, "register").write_text(FORMAT.read_text().strip())
            if "F" not in _flags(entry):
                raise Failure("%s is registered without the flag F, with which a chroot needs no copy of it" % NAME)
            yield
        finally:
            if not was_there and entry.exists():
                entry.write_text("-1")
            subprocess.run(["umount", folder], check=True)


def _flags(entry):
    lines = dict(line.partition(": ")[::2] for line in entry.read_text().splitlines())
    return lines.get("flags", lines.get("flags:", ""))
