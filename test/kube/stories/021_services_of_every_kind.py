"""ClientIP affinity, node ports, external addresses, addresses that are not ready, pods without a sidecar, no endpoint.

    client -> clusterIP, a port of the node, an external IP -> web (two pods, ClientIP), late (never ready), plain (no sidecar)"""

import json

from handfast_harness import expect, expect_eq, expect_in, wait_until
from kube_cluster import install, shared, workloads
from kube_cluster.pod_network import PodNetwork

DEADLINE_S = 480
SPACE, OUTSIDE = "services", "services-plain"
NODE_PORT, EXTERNAL = 30180, "198.18.0.9"
BY_TUNNEL = " to 169.254.15.6"  # whom the workload sees as its caller


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    install.installed(story.cluster)
    story.kubectl.apply(workloads.namespace(SPACE, **install.LABEL), workloads.namespace(OUTSIDE))
    web = workloads.service("web", type="NodePort", sessionAffinity="ClientIP", externalIPs=[EXTERNAL])
    web["spec"]["ports"][0]["nodePort"] = NODE_PORT
    late = workloads.service("late", publishNotReadyAddresses=True)
    never = {"exec": {"command": ["false"]}, "periodSeconds": 1}
    story.kubectl.apply(*(workloads.account(name) for name in ("client", "web", "late")), web, late,
                        workloads.deployment("web", replicas=2),
                        workloads.deployment("late", workloads.app_container(readinessProbe=never)),
                        workloads.deployment("client", workloads.sleeper()), namespace=SPACE)
    story.kubectl.apply(workloads.account("plain"), workloads.service("plain"), workloads.deployment("plain"),
                        namespace=OUTSIDE)
    story.webs = story.kubectl.wait_for_ready("app=web", 2, SPACE)
    story.client, = story.kubectl.wait_for_ready("app=client", 1, SPACE)
    story.kubectl.wait_for_ready("app=plain", 1, OUTSIDE)


def _curl(story, url, check=True):
    words = ("curl", "-sSg", "--max-time", "10", url)
    done = story.kubectl.run("-n", SPACE, "exec", story.client["metadata"]["name"], "-c", "app", "--", *words, check=check)
    return done.stdout + done.stderr


def _page(story, path):
    with PodNetwork(story.cluster, story.client) as network:
        return json.dumps(json.loads(network.http("http://127.0.0.1:15000" + path)[1]))


def _cluster_ip(story, name, space=SPACE):
    return story.kubectl.get("service", name, space)["spec"]["clusterIP"]


def shows_that_a_client_keeps_its_endpoint(story):
    url = "http://%s/" % _cluster_ip(story, "web")
    answers = {_curl(story, url) for _ in range(10)}
    expect_eq(len(answers), 1, "different pods that answered ten calls")
    expect_in("/ns/%s/sa/web" % SPACE, _page(story, "/tunnels"), "the tunnels")


def shows_that_a_port_of_the_node_and_an_external_address_are_the_services(story):
    node, = {pod["status"]["hostIP"] for pod in story.webs}
    for url in ("http://%s:%d/" % (node, NODE_PORT), "http://%s/" % EXTERNAL):
        answer = _curl(story, url)
        expect_in("hello-in-plaintext from web-", answer, "the answer of %s" % url)
        expect_in(BY_TUNNEL, answer, "the answer of %s" % url)


def shows_that_an_address_that_is_not_ready_is_reached_where_the_service_wants_it(story):
    url = "http://%s/" % _cluster_ip(story, "late")
    wait_until("an answer of late", lambda: "hello-in-plaintext from late-" in _curl(story, url, check=False), 60, 1)
    expect_in("/ns/%s/sa/late" % SPACE, _page(story, "/tunnels"), "the tunnels")


def shows_that_a_service_without_a_sidecar_is_reached_in_plaintext(story):
    answer = _curl(story, "http://%s/" % _cluster_ip(story, "plain", OUTSIDE))
    expect_in("hello-in-plaintext from plain-", answer, "the answer of plain")
    expect(BY_TUNNEL not in answer and OUTSIDE not in _page(story, "/tunnels"), "no tunnel to plain")


def shows_that_a_service_that_lost_its_endpoints_stays_meshed(story):
    story.kubectl("-n", SPACE, "scale", "deployment/web", "--replicas=0")
    story.kubectl.wait("no pod of web", lambda: not story.kubectl.get("pods", namespace=SPACE, selector="app=web"))
    address = _cluster_ip(story, "web")

    def reason():
        _curl(story, "http://%s/" % address, check=False)
        return "has no live endpoint" in _page(story, "/why")
    wait_until("the reason among the failures", reason, 60, 1)
    story.kubectl.delete_namespace(SPACE)
    story.kubectl.delete_namespace(OUTSIDE)
