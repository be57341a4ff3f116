"""The API server stands still, or its answers are lost: neither ends a connection. Calls go on, and what has changed
meanwhile is known soon after.

    shop: 20 calls per second -> Service store -> store; kube-apiserver stopped (SIGSTOP) for a minute, then what the
    replicas send to it dropped in silence while a pod of store is replaced"""

import contextlib
import time

from handfast_harness import expect, expect_eq
from kube_cluster import install, shop, workloads
from kube_cluster.http_load import HttpLoad
from kube_cluster.replica import Replica

DEADLINE_S = 1200
SPACE = "stalls"
STALL_S = 60
KNOWN_WITHIN_S = 40.0  # after its end: a keepalive of at most 20 s, and a pause between attempts that has grown


def arrange(story):
    shop.arrange(story, SPACE)


def _replicas(story):
    return [Replica(story.cluster, pod) for pod in install.wait_for_control(story.cluster)]


def _is_known(story, address):
    """Whether a meshed caller reaches a new pod under its own address: its sidecar asks the control plane."""
    with HttpLoad(story.network, address, 8080, per_second=10) as load:
        time.sleep(1)  # duration: of one attempt
    return load.num_requests > 0 and not load.failures


def shows_that_calls_go_on_while_the_api_server_stands_still(story):
    with HttpLoad(story.network, story.address, 80) as load:
        load.wait_for_requests(20)
        server = story.cluster.programs["kube-apiserver"]
        server.pause()
        try:
            time.sleep(STALL_S)  # duration: of the stall
        finally:
            server.resume()
        ended = time.monotonic()
        story.kubectl.wait("the API server", story.cluster.is_ready)
        load.wait_for_requests(40)
        _change_is_known(story, "the API server stood still", ended)
        load.wait_for_requests(20)
    expect_eq(load.failures, [], "failed calls of %d" % load.num_requests)


def _change_is_known(story, what, ended):
    """A pod that is made after the stall is injected and reached."""
    story.kubectl.apply(workloads.pod("later", account="store"), namespace=SPACE)
    pod, = story.kubectl.wait_for_ready("app=later", 1, SPACE)
    story.kubectl.wait("a call of the new pod", lambda: _is_known(story, pod["status"]["podIP"]), KNOWN_WITHIN_S)
    print("      %s for %d s: a new pod was reached %.1f s after it" % (what, STALL_S, time.monotonic() - ended))


def shows_that_lost_answers_are_noticed_and_a_change_meanwhile_is_known_after_it(story):
    """The pods of store are one more: kubelet and kube-proxy see it at once, the control plane after the stall."""
    with HttpLoad(story.network, story.address, 80) as load:
        load.wait_for_requests(20)
        with contextlib.ExitStack() as stalls:
            for replica in _replicas(story):
                stalls.enter_context(replica.cut_off("tcp dport 443"))
            started = time.monotonic()
            story.kubectl("-n", SPACE, "label", "pod", story.kubectl.pods("app=store", SPACE)[0]["metadata"]["name"],
                          "app=apart", "--overwrite")  # leaves the Service, and gets a successor
            time.sleep(max(0, STALL_S - (time.monotonic() - started)))  # duration: of the stall
        ended = time.monotonic()
        successors = story.kubectl.wait_for_ready("app=store", 2, SPACE)
        for pod in successors:
            story.kubectl.wait("a call of each pod", lambda: _is_known(story, pod["status"]["podIP"]), KNOWN_WITHIN_S)
        print("      answers lost for %d s: the change was known %.1f s after it" % (STALL_S, time.monotonic() - ended))
        names = {pod["metadata"]["name"] for pod in successors}

        def answers_of_both_alone():
            """Of the next calls: the pod that has left may have answered some before."""
            load.answered_by.clear()
            load.wait_for_requests(30)
            return load.answered_by == names
        story.kubectl.wait("answers of both pods of the Service", answers_of_both_alone, KNOWN_WITHIN_S)
        expect(load.num_requests > 0, "no call was made")
    expect_eq(load.failures, [], "failed calls of %d" % load.num_requests)
    story.kubectl.delete_namespace(SPACE)
