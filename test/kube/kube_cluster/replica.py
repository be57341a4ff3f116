"""One replica of the control plane, and the ways to lose it."""

import contextlib
import os
import re
import signal

from .pod_network import PodNetwork

_STREAMS = re.compile(rb"^handfast_control_streams (\d+)", re.MULTILINE)
_TABLE = "handfast_test_cut"


class Replica:
    def __init__(self, cluster, pod):
        self.pod, self.name, self._cluster = pod, pod["metadata"]["name"], cluster

    def _pids(self):
        """Its processes: the one that serves, and its signer."""
        first = self._cluster.node.pid_of(self.pod, "control")
        with open("/proc/%d/task/%d/children" % (first, first)) as file:
            return [first, *map(int, file.read().split())]

    def num_streams(self):
        with PodNetwork(self._cluster, self.pod, "control") as network:
            return int(_STREAMS.search(network.http("http://127.0.0.1:15014/metrics")[1])[1])

    def kill(self):
        for pid in self._pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @contextlib.contextmanager
    def stopped(self):
        """Neither runs nor ends; the kernel still accepts connections for it."""
        pids = self._pids()
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def cut_off(self, what=""):
        """From everything; what: a match of nftables, for what it sends alone."""
        with PodNetwork(self._cluster, self.pod, "control") as network:
            rules = "add table inet %s\nadd chain inet %s out { type filter hook output priority -400; }\n" % (_TABLE, _TABLE)
            rules += "add rule inet %s out oifname != lo %s drop\n" % (_TABLE, what)
            network.run(["nft", "-f", "-"], input=rules)
            try:
                yield
            finally:
                network.run(["nft", "delete", "table", "inet", _TABLE])
