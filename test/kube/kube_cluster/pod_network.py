"""The network namespace of a running pod: the harness dials from it as any user, and runs programs of this machine in it."""

import os

from handfast_harness.namespace import Namespace, as_user


class PodNetwork(Namespace):
    """with PodNetwork(cluster, pod, "app") as net: net.connect(address, 80, uid=1000)"""

    def __init__(self, cluster, pod, container="app"):
        super().__init__("", pod["metadata"]["name"])
        self.pid = cluster.node.pid_of(pod, container)
        self._fd = os.open("/proc/%d/ns/net" % self.pid, os.O_RDONLY | os.O_CLOEXEC)
        addresses = [one["ip"] for one in pod["status"]["podIPs"]]
        self.ipv4 = next((one for one in addresses if ":" not in one), None)
        self.ipv6 = next((one for one in addresses if ":" in one), None)

    def argv(self, argv, *user):
        return ["nsenter", "--net=/proc/%d/ns/net" % self.pid, *as_user(argv, *user)]

    def remove(self):
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()
