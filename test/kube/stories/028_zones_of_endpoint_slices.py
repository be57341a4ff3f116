"""A pod's calls to a Service stay in the zone of its node, by the zones and the topology hints of real EndpointSlices.

    client (on a node in zone east) -> clusterIP of spread -> near (zone east), far (zone west): two pods of web

The cluster has one node, so the slice of `spread`, which has no selector, is written by hand; that of `web` has the zone
from the node's label. A control plane that watches no nodes learns from it where the client is."""

import collections

from handfast_harness import expect_eq, needs_earlier, wait_until
from kube_cluster import install, shared, workloads

DEADLINE_S = 420
SPACE, ZONE = "zones", "topology.kubernetes.io/zone"


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    story.kubectl("label", "nodes", "--all", "--overwrite", ZONE + "=east")
    install.installed(story.cluster)
    spread = workloads.service("spread")
    del spread["spec"]["selector"]
    story.kubectl.apply(workloads.namespace(SPACE, **install.LABEL))
    story.kubectl.apply(*(workloads.account(name) for name in ("client", "web")), workloads.service("web"), spread,
                        workloads.deployment("web", replicas=2),
                        workloads.deployment("client", workloads.sleeper()), namespace=SPACE)
    story.near, story.far = story.kubectl.wait_for_ready("app=web", 2, SPACE)
    story.client, = story.kubectl.wait_for_ready("app=client", 1, SPACE)


def _endpoint(pod, zone, hints=()):
    return {"addresses": [pod["status"]["podIP"]], "conditions": {"ready": True}, "zone": zone,
            "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"], "namespace": SPACE,
                          "uid": pod["metadata"]["uid"]},
            **({"hints": {"forZones": [{"name": hint} for hint in hints]}} if hints else {})}


def _write_slice(story, *endpoints):
    story.kubectl.apply({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "spread-1", "labels": {"kubernetes.io/service-name": "spread"}},
        "ports": [{"name": "web", "port": workloads.PORT, "protocol": "TCP"}], "endpoints": list(endpoints)},
        namespace=SPACE)


def _calls(story, num=12):
    """How many of so many calls each pod answered."""
    ip = story.kubectl.get("service", "spread", SPACE)["spec"]["clusterIP"]
    loop = "for call in $(seq %d); do curl -sS --max-time 10 http://%s/; done" % (num, ip)
    answers = story.kubectl.exec(story.client["metadata"]["name"], "app", "sh", "-c", loop, namespace=SPACE)
    counts = collections.Counter()
    for pod in (story.near, story.far):
        counts[pod["metadata"]["name"]] = answers.count(" from %s " % pod["metadata"]["name"])
    expect_eq(sum(counts.values()), num, "answers in %r" % answers)
    return counts


def _wait_for_all_at(story, pod, num=12):
    wait_until("all calls to be answered by " + pod["metadata"]["name"],
               lambda: _calls(story, num)[pod["metadata"]["name"]] == num, 60, 0.5)


def shows_that_calls_stay_in_the_zone_of_the_callers_node(story):
    slices = story.kubectl.get("endpointslices", namespace=SPACE, selector="kubernetes.io/service-name=web")
    expect_eq({endpoint["zone"] for each in slices for endpoint in each["endpoints"]}, {"east"}, "zones of the real slice")
    _write_slice(story, _endpoint(story.near, "east"), _endpoint(story.far, "west"))
    _wait_for_all_at(story, story.near)


@needs_earlier
def shows_that_hints_go_before_zones(story):
    _write_slice(story, _endpoint(story.near, "east", ["west"]), _endpoint(story.far, "west", ["east"]))
    _wait_for_all_at(story, story.far)


@needs_earlier
def shows_that_an_endpoint_that_is_not_ready_or_ends_leaves_at_once(story):
    far = _endpoint(story.far, "west", ["east"])
    far["conditions"] = {"ready": False, "serving": True, "terminating": True}
    _write_slice(story, _endpoint(story.near, "east", ["west"]), far)
    _wait_for_all_at(story, story.near)
    story.kubectl.delete_namespace(SPACE)
    story.kubectl("label", "nodes", "--all", ZONE + "-")
