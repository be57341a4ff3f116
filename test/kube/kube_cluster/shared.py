"""The one cluster of a run: it starts with the first story that uses it and ends with the runner.

A story leaves nothing of its own behind but what Handfast's install brought; each works in namespaces of its own."""

import atexit
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
        atexit.register(_end, one, folder)
        _held["cluster"] = one.__enter__()
    return _held["cluster"]


def _end(one, folder):
    one.remove()
    if not os.environ.get("HANDFAST_KUBE_KEEP_LOGS"):
        shutil.rmtree(os.path.dirname(folder), ignore_errors=True)
