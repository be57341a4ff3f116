"""Kubernetes' own programs, built from Go modules that go.sum pins; once per go.sum, outside of the tree.

The folder is HANDFAST_KUBE_BIN, or ${XDG_CACHE_HOME:-~/.cache}/handfast-kube/HASH OF go.sum. A build takes about 20
minutes of one processor and 6 GB of disk, which it returns; the programs are 0.4 GB."""

import hashlib
import os
import re
import shutil
import subprocess

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GO_AT_LEAST = (1, 26)
DISK_GB = 7
PROGRAMS = {
    "etcd": "go.etcd.io/etcd/server/v3",
    **{name: "k8s.io/kubernetes/cmd/" + name for name in
       ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kubelet", "kube-proxy")}}


class Missing(Exception):
    """The programs cannot be had here; the text is the reason."""


def folder():
    """The folder of the programs, built or not."""
    named = os.environ.get("HANDFAST_KUBE_BIN")
    if named:
        return named
    with open(os.path.join(_HERE, "go.sum"), "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()[:16]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(cache, "handfast-kube", digest)


def missing():
    return [name for name in PROGRAMS if not os.access(os.path.join(folder(), name), os.X_OK)]


def path(name):
    return os.path.join(folder(), name)


def why_they_cannot_be_built():
    """A sentence, or None: they are built, or can be."""
    if not missing():
        return None
    if os.environ.get("HANDFAST_KUBE_BIN"):
        return "%s, which HANDFAST_KUBE_BIN names, has no %s" % (folder(), ", ".join(missing()))
    if not shutil.which("go"):
        return "Go is not on this machine; expected Go %d.%d or newer" % GO_AT_LEAST
    text = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, cwd="/",
                          env={**os.environ, "GOTOOLCHAIN": "local"}).stdout
    found = re.match(r"go(\d+)\.(\d+)", text)
    if not found or tuple(map(int, found.groups())) < GO_AT_LEAST:
        return "Go %d.%d or newer is not on this machine; found %s" % (*GO_AT_LEAST, text.strip() or "no version")
    os.makedirs(folder(), exist_ok=True)
    free_gb = shutil.disk_usage(folder()).free / 1e9
    if free_gb < DISK_GB:
        return "%.1f GB of disk are free in %s; a build needs %d GB" % (free_gb, folder(), DISK_GB)
    return None


def build(report=print):
    """Builds what is missing. Raises Missing where that is not possible."""
    reason = why_they_cannot_be_built()
    if reason:
        raise Missing(reason)
    if not missing():
        return
    report("building %s, once; about 20 minutes of one processor" % ", ".join(missing()))
    work = os.path.join(folder(), "build")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -trimpath -mod=readonly",
                   "GOTOOLCHAIN": "local", "GOCACHE": os.path.join(work, "cache"),
                   "GOPATH": os.path.join(work, "path"), "GOTMPDIR": os.path.join(work, "tmp")}
    os.makedirs(environment["GOTMPDIR"], exist_ok=True)
    try:
        for name in missing():
            argv = ["nice", "-n", "10", "go", "build", "-p", "2", "-ldflags", link_flags(), "-o", path(name) + ".new", PROGRAMS[name]]
            done = subprocess.run(argv, cwd=_HERE, env=environment, capture_output=True, text=True)
            if done.returncode != 0:
                raise Missing("go build of %s ended with %d: %s" % (name, done.returncode, done.stderr[-2000:]))
            os.rename(path(name) + ".new", path(name))
            report("    %s" % name)
    finally:
        subprocess.run(["go", "clean", "-modcache"], cwd="/", env=environment, capture_output=True)  # its files are read-only
        shutil.rmtree(work, ignore_errors=True)


def link_flags():
    with open(os.path.join(_HERE, "go.mod")) as file:
        version = re.search(r"^(?:require )?\s*k8s\.io/kubernetes (v\d+\.(\d+)\.\d+)\b", file.read(), re.M)
    package = "k8s.io/component-base/version"
    return "-s -w -X %s.gitVersion=%s -X %s.gitMajor=1 -X %s.gitMinor=%s -X %s.gitTreeState=clean" % (
        package, version[1], package, package, version[2], package)
