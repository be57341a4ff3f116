"""Deleting the one file leaves nothing of Handfast in the cluster, and pods start as they did before.

    kubectl delete -f handfast.yaml ; each kind of object that a cluster has is listed afterwards"""

from handfast_harness import expect_eq
from kube_cluster import install, shared, workloads

DEADLINE_S = 420


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    install.installed(story.cluster)


def _left(story):
    """Every object of any kind whose name or namespace is Handfast's; events pass by themselves."""
    found = []
    for namespaced in ("true", "false"):
        kinds = story.kubectl("api-resources", "--verbs=list", "--namespaced=" + namespaced, "-o", "name").split()
        kinds = [kind for kind in kinds if not kind.startswith("events")]
        printed = story.kubectl("get", ",".join(kinds), "-A", "-o", "name", "--ignore-not-found", timeout_s=120)
        found += [line for line in printed.splitlines() if "handfast" in line]
    return found


def shows_that_nothing_is_left(story):
    install.uninstall(story.cluster)
    story.kubectl.wait("every object to be gone", lambda: not _left(story))


def shows_that_a_namespace_with_the_label_starts_pods_without_it(story):
    story.kubectl.apply(workloads.namespace("after", **install.LABEL))
    story.kubectl.apply(workloads.pod("plain"), namespace="after")
    pod, = story.kubectl.wait_for_ready("app=plain", 1, "after")
    expect_eq([one["name"] for one in pod["spec"]["containers"]], ["app"], "its containers")
    story.kubectl.delete_namespace("after")
