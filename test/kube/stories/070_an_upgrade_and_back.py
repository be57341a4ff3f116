"""From the previous build to this one and back, under load: manifest, control plane, then one deployment after the other,
so that old sidecars talk with new ones in both directions. No call fails.

    shop (old, then new): 20 calls per second -> Service store -> store, 2 pods (old, then new, then old)"""

import json

from handfast_harness import expect_eq, expect_in
from kube_cluster import images, install, previous, shared, shop
from kube_cluster.http_load import HttpLoad
from kube_cluster.pod_network import PodNetwork
from kube_cluster.programs import Missing

DEADLINE_S = 2400  # the earlier commit is built at the first run
SPACE = "upgrade"
# The cluster admits the priorities of the system where a quota names them alone, as some do. The earlier manifest has none.
QUOTA = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "handfast-control"},
         "spec": {"hard": {"pods": "10k"}, "scopeSelector": {"matchExpressions": [
             {"scopeName": "PriorityClass", "operator": "In", "values": ["system-cluster-critical"]}]}}}
OLD, NEW = images.PREFIX + "handfast-sidecar:" + previous.TAG, images.PREFIX + "handfast-sidecar:" + images.TAG


def arrange(story):
    story.cluster, story.left_out = shared.cluster(), None
    story.kubectl = story.cluster.kubectl
    try:
        previous.build()
    except Missing as reason:
        story.left_out = str(reason)
        print("      left out: %s" % reason)
        return
    images.import_handfast_once(story.cluster)
    images.import_handfast(story.cluster, previous.TAG, previous.folder())
    install.uninstall(story.cluster)
    story.kubectl.wait("the namespace to be gone", lambda: not story.kubectl.get("namespace", install.NAMESPACE), 90)
    story.kubectl.apply(previous.manifest())
    story.kubectl.apply(QUOTA, namespace=install.NAMESPACE)
    install.wait_for_control(story.cluster)
    shop.arrange(story, SPACE)


def _control(story, manifest):
    story.kubectl.apply(manifest)
    story.kubectl.wait_for_rollout("handfast-control", install.NAMESPACE)
    install.wait_for_control(story.cluster)


def _restart(story, name, num, image):
    before = {pod["metadata"]["name"] for pod in story.kubectl.pods("app=" + name, SPACE)}
    story.kubectl("-n", SPACE, "rollout", "restart", "deployment/" + name)
    story.kubectl.wait_for_rollout(name, SPACE)
    story.kubectl.wait("the old pods of %s to be gone" % name, lambda: not before & {
        pod["metadata"]["name"] for pod in story.kubectl.get("pods", namespace=SPACE)})
    pods = story.kubectl.wait_for_ready("app=" + name, num, SPACE)
    for pod in pods:
        expect_eq([one["image"] for one in pod["spec"]["initContainers"] if one["name"] == "handfast"], [image],
                  "the sidecar of %s" % name)
    return pods


def _move(story, what, manifest, image):
    """Control plane and stores, under load of the shop as it is; then the shop, which ends its calls."""
    with HttpLoad(story.network, story.address, 80) as load:
        load.wait_for_requests(20)
        _control(story, manifest)
        load.wait_for_requests(40)
        _restart(story, "store", 2, image)
        load.wait_for_requests(40)
    expect_eq(load.failures, [], "failed calls of %d, %s" % (load.num_requests, what))
    story.shop, = _restart(story, "shop", 1, image)
    story.network = story.own(PodNetwork(story.cluster, story.shop))
    with HttpLoad(story.network, story.address, 80) as again:
        again.wait_for_requests(40)
    expect_eq(again.failures, [], "failed calls of a moved shop, %s" % what)
    print("      %s: %d calls, 0 failed" % (what, load.num_requests + again.num_requests))
    _is_meshed(story)


def _is_meshed(story):
    tunnels = json.dumps(json.loads(story.network.http("http://127.0.0.1:15000/tunnels")[1]))
    expect_in("/ns/%s/sa/store" % SPACE, tunnels, "the tunnels of the shop")


def shows_that_an_upgrade_fails_no_call(story):
    if not story.left_out:
        _move(story, "to this build", install.manifest(), NEW)


def shows_that_the_way_back_fails_no_call(story):
    if not story.left_out:
        _move(story, "back to %s" % previous.COMMIT, previous.manifest(), OLD)


def shows_that_an_uninstall_ends_it(story):
    if story.left_out:
        return
    story.kubectl.delete_namespace(SPACE)
    story.kubectl("delete", "-f", "-", "--ignore-not-found", text=previous.manifest(), timeout_s=120)
    story.kubectl.wait("the namespace to be gone", lambda: not story.kubectl.get("namespace", install.NAMESPACE), 90)
