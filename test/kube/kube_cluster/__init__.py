"""A real Kubernetes on one machine: its programs, in namespaces that disappear with them."""

import os
import sys

_TEST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path[:0] = [os.path.join(_TEST, "harness"), _TEST]  # the library of all stories, and the peers

from .cluster import Cluster  # noqa: E402 (the path must be set first)
from .kubectl import Kubectl, KubectlError  # noqa: E402
from .programs import Missing  # noqa: E402

__all__ = ["Cluster", "Kubectl", "KubectlError", "Missing"]
