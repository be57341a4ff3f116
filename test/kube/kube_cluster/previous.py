"""Handfast's programs and its manifest as of an earlier commit, built once, outside of the tree; a minute or a few.

The folder is ${XDG_CACHE_HOME:-~/.cache}/handfast-kube/previous-COMMIT. Its images have the tag TAG."""

import os
import shutil
import subprocess
import tempfile

from . import images
from .programs import Missing

COMMIT = "a8d95cf"  # 0.2.0 before what followed it; its stories passed
TAG = "previous"
_ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
_TARGETS = {"handfast-sidecar": "sidecar", "handfast-control": "control", "handfast-init": "intercept",
            "handfast-cni": "intercept/cni", "handfast": "cli"}


def folder():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(cache, "handfast-kube", "previous-" + COMMIT)


def manifest():
    with open(os.path.join(folder(), "handfast.yaml")) as file:
        return file.read()


def build():
    """Raises Missing where it cannot be built."""
    if os.path.exists(folder()):
        return
    if subprocess.run(["git", "cat-file", "-e", COMMIT + "^{commit}"], cwd=_ROOT, capture_output=True).returncode != 0:
        raise Missing("commit %s is not in this copy of the repository" % COMMIT)
    if not shutil.which("bazel"):
        raise Missing("bazel is not on this machine")
    os.makedirs(os.path.dirname(folder()), exist_ok=True)
    work = tempfile.mkdtemp(prefix="handfast-previous-")
    try:
        _build_in(work)
    finally:
        subprocess.run(["chmod", "-R", "u+w", work], check=False)  # Bazel's outputs are read-only
        shutil.rmtree(work)


def _build_in(work):
    tree, out, made = (os.path.join(work, name) for name in ("tree", "out", "made"))
    for path in (tree, made):
        os.makedirs(path)
    archive = subprocess.run(["git", "archive", COMMIT], cwd=_ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", tree], input=archive, check=True)
    bazel = ["nice", "-n", "10", "bazel", "--output_base=" + out]
    done = subprocess.run([*bazel, "build", *("//%s:%s" % (place, name) for name, place in _TARGETS.items())], cwd=tree,
                          capture_output=True, text=True, env={"HOME": "/root", "USER": "root", **os.environ})
    if done.returncode != 0:
        raise Missing("commit %s does not build here: %s" % (COMMIT, done.stderr[-1000:]))
    for name, place in _TARGETS.items():
        shutil.copy(os.path.join(tree, "bazel-bin", place, name), os.path.join(made, name))
    subprocess.run([*bazel, "shutdown"], cwd=tree, capture_output=True)
    printed = subprocess.run(["deploy/kubernetes/generate.py", "--print", "image.prefix=" + images.PREFIX,
                              "image.tag=" + TAG, "image.pullPolicy=Never"], cwd=tree, capture_output=True, check=True)
    with open(os.path.join(made, "handfast.yaml"), "wb") as file:
        file.write(printed.stdout)
    shutil.copytree(made, folder() + ".new", dirs_exist_ok=True)
    os.rename(folder() + ".new", folder())
