"""The one cluster of a process: it starts with the first story that uses it and ends with the last, by end().

A story leaves nothing of its own behind but what Handfast's install brought; each works in namespaces of its own."""

import os
import shutil
import tempfile

from .cluster import Cluster

_held = {}


def cluster():
    """The running cluster, with a node."""
    if "cluster" not in _held:
        folder = os.path.join(tempfile.mkdtemp(prefix="hk-"), "c")
        _held["folder"] = folder
        one = Cluster(folder, node=True)
        _held["cluster"] = one.__enter__()
    return _held["cluster"]


def end():
    if "folder" not in _held:
        return
    if "cluster" in _held:
        _held["cluster"].remove()
    folder = _held["folder"]
    _held.clear()
    if not os.environ.get("HANDFAST_KUBE_KEEP_LOGS"):
        shutil.rmtree(os.path.dirname(folder), ignore_errors=True)
