"""Real pods on a real Kubernetes, without Handfast: what the other stories stand on.

    client pod -> Service (kube-proxy) -> two server pods; all on one node"""

import time

from handfast_harness import expect, expect_eq, expect_in
from kube_cluster import shared, workloads
from kube_cluster.pod_network import PodNetwork

DEADLINE_S = 480


def arrange(story):
    started = time.monotonic()
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    print("      a cluster with a node is ready after %.1f s" % (time.monotonic() - started))
    story.kubectl.apply(workloads.namespace("bare"))


def shows_that_pods_start_and_reach_a_service_by_its_cluster_ip(story):
    started = time.monotonic()
    story.kubectl.apply(workloads.account("server"), workloads.account("client"),
                        workloads.deployment("server", replicas=2), workloads.service("server"),
                        workloads.deployment("client", workloads.sleeper()), namespace="bare")
    story.kubectl.wait_for_ready("app=server", 2, "bare")
    story.client, = story.kubectl.wait_for_ready("app=client", 1, "bare")
    print("      three pods are ready after %.1f s" % (time.monotonic() - started))
    story.address = story.kubectl.get("service", "server", "bare")["spec"]["clusterIP"]
    story.kubectl.wait("kube-proxy to have the endpoints", lambda: _call(story).returncode == 0)
    expect_in("hello-in-plaintext from server-", _call(story).stdout, "the answer")


def _call(story):
    return story.kubectl.run("-n", "bare", "exec", story.client["metadata"]["name"], "-c", "app", "--", "curl", "-s",
                             "--max-time", "5", "http://%s/" % story.address, check=False)


def shows_that_the_harness_dials_from_inside_a_pod(story):
    with PodNetwork(story.cluster, story.client) as network:
        status, body = network.http("http://%s:80/" % story.address, uid=1000)
        expect_eq(status, 200, "status")
        expect_in(network.ipv4.encode(), body, "the server sees the pod's own address")
        expect(network.ipv6, "the pod has an IPv6 address")


def shows_that_the_api_server_restarts_and_pods_go_on(story):
    story.cluster.stop("kube-apiserver")
    with PodNetwork(story.cluster, story.client) as network:
        expect_eq(network.http("http://%s:80/" % story.address, uid=1000)[0], 200, "without an API server")
    story.cluster.start_apiserver()
    expect_eq(len(story.kubectl.pods("app=server", "bare")), 2, "pods after the restart")


def shows_that_a_namespace_goes_with_its_pods(story):
    story.kubectl.delete_namespace("bare")
