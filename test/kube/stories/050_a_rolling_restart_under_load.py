"""A rolling restart of a Deployment under load fails no call, and its pods end within their grace period.

    shop: 20 calls per second -> Service store -> store, 2 pods, restarted twice"""

from handfast_harness import expect, expect_eq
from kube_cluster import shop
from kube_cluster.http_load import HttpLoad

DEADLINE_S = 480
SPACE = "rolling"


def arrange(story):
    shop.arrange(story, SPACE)


def _names(story):
    return {pod["metadata"]["name"] for pod in story.kubectl.get("pods", namespace=SPACE, selector="app=store")}


def shows_that_no_call_fails(story):
    with HttpLoad(story.network, story.address, 80) as load:
        load.wait_for_requests(20)
        for _ in range(2):
            before = _names(story)
            story.kubectl("-n", SPACE, "rollout", "restart", "deployment/store")
            story.kubectl.wait_for_rollout("store", SPACE)
            story.kubectl.wait("the old pods to end", lambda: not before & _names(story))
        load.wait_for_requests(40)
    expect_eq(load.failures, [], "failed calls of %d" % load.num_requests)
    expect(len(load.answered_by) >= 4, "pods that answered: %s" % load.answered_by)
    story.kubectl.delete_namespace(SPACE)
