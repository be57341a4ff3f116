"""A replica that ends answers new connections to its webhook until the nodes know that it ends, so that a pod that is created
while the control plane rolls over is not refused.

    machine -> a replica's address, port 15017, while kubectl deletes its pod"""

import subprocess
import time

from handfast_harness import expect, expect_eq
from kube_cluster import install, shared

DEADLINE_S = 420
PORT, SERVES_S = 15017, 1.5  # of the 2 s that it serves on


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    install.installed(story.cluster)


def _answers(story, address):
    """Whether a TLS handshake succeeds."""
    host = "[%s]" % address if ":" in address else address
    tried = subprocess.run(story.cluster.machine.argv(["curl", "-sk", "-o", "/dev/null", "--max-time", "2",
                                                       "https://%s:%d/" % (host, PORT)]), check=False, timeout=10)
    return tried.returncode == 0


def shows_that_new_connections_are_answered_after_the_pod_is_being_deleted(story):
    pod = install.wait_for_control(story.cluster)[0]
    name, address = pod["metadata"]["name"], pod["status"]["podIP"]
    expect(_answers(story, address), "the webhook of a replica that runs")
    started, num = time.monotonic(), 0  # before the deletion: with kubectl a part of the 2 s would be over
    expect_eq(story.cluster.request("/api/v1/namespaces/%s/pods/%s" % (install.NAMESPACE, name), "DELETE")[0], 200, "the deletion")
    while time.monotonic() - started < SERVES_S:
        expect(_answers(story, address), "%.1f s after the deletion, the connection %d failed" % (
            time.monotonic() - started, num + 1))
        num += 1
    expect(num > 3, "%d connections were tried" % num)
    story.kubectl.wait("it to end soon", lambda: not story.kubectl.get("pod", name, install.NAMESPACE), 25)
    expect_eq(len(install.wait_for_control(story.cluster)), install.REPLICAS, "replicas")
