"""When each sidecar renewed its certificate, read from its metrics."""

import contextlib
import re
import threading
import time

from .pod_network import PodNetwork

_PERIOD_S = 0.15
_COUNT = re.compile(rb'^handfast_identity_renewals_total\{outcome="renewed"\} (\d+)', re.MULTILINE)


class Renewals:
    """with Renewals(cluster, pods) as renewals: ...; renewals.longest_gap(since)"""

    def __init__(self, cluster, pods):
        self._networks = {pod["metadata"]["name"]: PodNetwork(cluster, pod, "handfast") for pod in pods}
        self._ending = threading.Event()
        self._seen = {name: [] for name in self._networks}  # times
        self._threads = [threading.Thread(target=self._follow, args=(name,), daemon=True) for name in self._networks]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        for thread in self._threads:
            thread.join(10)
        for network in self._networks.values():
            network.remove()

    def _follow(self, name):
        before = None
        while not self._ending.wait(_PERIOD_S):
            with contextlib.suppress(OSError):
                _, page = self._networks[name].http("http://127.0.0.1:15020/metrics")
                count = int(_COUNT.search(page)[1])
                if before is not None and count > before:
                    self._seen[name].append(time.monotonic())
                before = count

    def num(self, since):
        return {name: len([at for at in seen if at >= since]) for name, seen in self._seen.items()}

    def longest_gap(self, since):
        """(seconds, pod): between two renewals of one sidecar, or after the last, of what lies after `since`."""
        gaps = []
        for name, seen in self._seen.items():
            times = [*list(seen), time.monotonic()]
            gaps += [(later - max(earlier, since - 60), name) for earlier, later in zip(times, times[1:])
                     if later >= since]
        return max(gaps)
