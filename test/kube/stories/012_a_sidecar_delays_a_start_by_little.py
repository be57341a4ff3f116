"""How much later a pod is ready with its sidecar than without, each started five times in turn.

    the same pod: in a namespace with the label, and in one without"""

import time

from handfast_harness import expect
from kube_cluster import install, shared, workloads

DEADLINE_S = 240
SPACES = {"start-meshed": install.LABEL, "start-bare": {}}
ROUNDS = 5
AT_MOST_S = 3.0  # the goal is 1 s; a machine with other work takes longer for the three containers more


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    install.installed(story.cluster)
    story.kubectl.apply(*(workloads.namespace(name, **labels) for name, labels in SPACES.items()))


def _seconds_to_ready(story, space, name):
    container = workloads.app_container()
    del container["readinessProbe"]  # ready when it runs: kubelet's period would hide the difference
    story.kubectl.apply(workloads.pod(name, container), namespace=space)
    started = time.monotonic()
    story.kubectl("-n", space, "wait", "--for=condition=Ready", "pod/" + name, "--timeout=60s", timeout_s=70)
    return time.monotonic() - started


def shows_that_the_difference_is_small(story):
    took = {space: [] for space in SPACES}
    for number in range(ROUNDS):
        for space in SPACES:
            took[space].append(_seconds_to_ready(story, space, "pod-%d" % number))
    median = {space: sorted(times)[ROUNDS // 2] for space, times in took.items()}
    more = median["start-meshed"] - median["start-bare"]
    print("      ready after %.2f s with a sidecar, %.2f s without: %.2f s more" %
          (median["start-meshed"], median["start-bare"], more))
    expect(more <= AT_MOST_S, "a sidecar delays a start by %.2f s" % more)
    for space in SPACES:
        story.kubectl.delete_namespace(space)
