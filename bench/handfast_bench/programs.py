"""Handfast's programs, built with optimization, or from HANDFAST_BIN."""

import os
import shutil
import subprocess

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = {"load": "//bench/load:load", "tunnel_pair": "//bench:tunnel_pair",
            "handfast-init": "//intercept:handfast-init", "handfast-sidecar": "//sidecar:handfast-sidecar",
            "handfast-control": "//control:handfast-control", "handfast": "//cli:handfast"}


def build(names):
    """Returns the folder with them, in the layout of bazel-bin."""
    if base := os.environ.get("HANDFAST_BIN"):
        return base
    subprocess.run(["bazel", "build", "--config=opt", *(PROGRAMS[name] for name in sorted(names))], check=True,
                   cwd=REPOSITORY)
    return subprocess.run(["bazel", "info", "--config=opt", "bazel-bin"], check=True, cwd=REPOSITORY, capture_output=True,
                          text=True).stdout.strip()


def copied(folder, names):
    """name -> path of a copy in the folder, where every user may run it."""
    base, paths = build(names), {}
    for name in names:
        paths[name] = os.path.join(folder, name)
        shutil.copy(os.path.join(base, PROGRAMS[name][2:].replace(":", "/")), paths[name])
        os.chmod(paths[name], 0o755)
    return paths.__getitem__
