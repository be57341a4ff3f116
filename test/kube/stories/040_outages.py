"""What waits, and what goes on, while a part of the cluster is away.

    shop -> Service store -> store, under load; API server away, restarted; webhook down; caBundle wiped"""

import time

from handfast_harness import expect, expect_eq, expect_in
from kube_cluster import install, shop, workloads
from kube_cluster.command_line import check
from kube_cluster.http_load import HttpLoad

DEADLINE_S = 1200
SPACE = "outages"
API_AWAY_S = 120


def arrange(story):
    shop.arrange(story, SPACE)


def shows_that_calls_go_on_while_the_api_server_is_away_for_two_minutes(story):
    with HttpLoad(story.network, story.address, 80) as load:
        load.wait_for_requests(20)
        story.cluster.stop("kube-apiserver")
        time.sleep(API_AWAY_S)  # duration: of the outage
        story.cluster.start_apiserver()
        load.wait_for_requests(100)
    expect_eq(load.failures, [], "failed calls of %d" % load.num_requests)
    expect_eq(len(load.answered_by), 2, "pods that answered")


def shows_that_changes_after_the_outage_are_seen(story):
    before = {pod["metadata"]["name"] for pod in story.kubectl.pods("app=store", SPACE)}
    story.kubectl("-n", SPACE, "rollout", "restart", "deployment/store")
    story.kubectl.wait_for_rollout("store", SPACE)
    story.kubectl.wait("the old pods to be gone", lambda: not before & {
        pod["metadata"]["name"] for pod in story.kubectl.get("pods", namespace=SPACE)})
    with HttpLoad(story.network, story.address, 80) as load:
        load.wait_for_requests(20)
    expect_eq(load.failures, [], "failed calls")
    expect(not load.answered_by & before, "a pod that is gone answered")


def _configuration(story):
    return story.kubectl.get("mutatingwebhookconfiguration", "handfast")


def shows_that_a_wiped_ca_bundle_is_repaired_within_a_second(story):
    wipe = '[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]'
    story.kubectl("patch", "mutatingwebhookconfiguration", "handfast", "--type=json", "-p", wipe)
    story.kubectl.wait("the caBundle to return", lambda: "caBundle" in _configuration(story)["webhooks"][0]["clientConfig"], 2)
    story.kubectl.apply(install.manifest())
    expect("caBundle" in _configuration(story)["webhooks"][0]["clientConfig"], "a re-apply keeps the caBundle")
    story.kubectl.apply(workloads.pod("after", account="store"), namespace=SPACE)
    story.kubectl.wait_for_ready("app=after", 1, SPACE)


def shows_that_only_namespaces_with_the_label_wait_for_the_webhook(story):
    story.kubectl("-n", install.NAMESPACE, "scale", "deployment/handfast-control", "--replicas=0")
    story.kubectl.wait("the control plane to be gone", lambda: not story.kubectl.get(
        "pods", namespace=install.NAMESPACE, selector=install.CONTROL))
    refused = story.kubectl.run("-n", SPACE, "run", "waits", "--image=" + workloads.APP, check=False, timeout_s=60)
    expect(refused.returncode != 0, "a pod started without a sidecar")
    expect_in("inject.handfast.dev", refused.stderr, "the error names the webhook")
    story.kubectl.apply(workloads.namespace("outages-outside"))
    story.kubectl.apply(workloads.pod("starts"), namespace="outages-outside")
    story.kubectl.wait_for_ready("app=starts", 1, "outages-outside")
    opted_out = workloads.pod("opted-out", labels={"handfast.dev/inject": "disabled"})
    story.kubectl.apply(opted_out, namespace=SPACE)
    with HttpLoad(story.network, story.address, 80) as load:
        load.wait_for_requests(20)
    expect_eq(load.failures, [], "failed calls without a control plane")


def shows_that_a_check_names_ready_sidecars_that_have_no_control_plane(story):
    def rows():
        return [row for row in check(story)[1].get("sidecar-degraded", []) if "control plane unreachable: " in row.get("got", "")]
    found = story.kubectl.wait("a row about them", rows)
    expect_in("such as ", found[0]["got"], "a pod's name")


def shows_that_pods_start_again_when_it_is_back(story):
    story.kubectl("-n", install.NAMESPACE, "scale", "deployment/handfast-control",
                  "--replicas=%d" % install.REPLICAS)
    install.wait_for_control(story.cluster)
    story.kubectl.delete_namespace("outages-outside")
    story.kubectl.delete_namespace(SPACE)
