"""Deployment, StatefulSet, Job and CronJob get a sidecar, start, and end; each kind of Service is reached by mutual TLS.

    client -> clusterIP, named target port, headless names, a pod's address, IPv6 -> db (StatefulSet), store (Deployment)"""

import json

from handfast_harness import expect, expect_eq, expect_in
from kube_cluster import install, shared, workloads
from kube_cluster.kubectl import statuses
from kube_cluster.pod_network import PodNetwork

DEADLINE_S = 480
SPACE = "kinds"


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    install.installed(story.cluster)
    story.kubectl.apply(workloads.namespace(SPACE, **install.LABEL))
    headless = workloads.service("db", 8080, clusterIP="None")
    named = workloads.service("store", 8081, "web", ipFamilyPolicy="PreferDualStack")
    both = [{"containerPort": workloads.PORT, "name": "web"}]
    story.kubectl.apply(*(workloads.account(name) for name in ("client", "db", "store", "once")), headless, named,
                        workloads.stateful_set("db", replicas=2),
                        workloads.deployment("store", workloads.app_container(ports=both)),
                        workloads.deployment("client", workloads.sleeper()), namespace=SPACE)
    story.dbs = story.kubectl.wait_for_ready("app=db", 2, SPACE)
    story.store, = story.kubectl.wait_for_ready("app=store", 1, SPACE)
    story.client, = story.kubectl.wait_for_ready("app=client", 1, SPACE)


def _curl(story, url):
    return story.kubectl.exec(story.client["metadata"]["name"], "app", "curl", "-sSg", "--max-time", "10", url,
                              namespace=SPACE)


def _tunnels(story):
    """The identities that the client's sidecar has tunnels to."""
    with PodNetwork(story.cluster, story.client) as network:
        page = json.loads(network.http("http://127.0.0.1:15000/tunnels")[1])
    return json.dumps(page)


def _reached_by_mutual_tls(story, url, account, pod):
    expect_in("hello-in-plaintext from " + pod, _curl(story, url), "the answer of %s" % url)
    expect_in("/ns/%s/sa/%s" % (SPACE, account), _tunnels(story), "the tunnels after %s" % url)


def shows_that_the_address_of_a_pod_of_a_stateful_set_is_meshed(story):
    for pod in story.dbs:
        _reached_by_mutual_tls(story, "http://%s:8080/" % pod["status"]["podIP"], "db", pod["metadata"]["name"])


def shows_that_a_named_target_port_is_found(story):
    service = story.kubectl.get("service", "store", SPACE)
    for address in service["spec"]["clusterIPs"]:
        host = "[%s]" % address if ":" in address else address
        _reached_by_mutual_tls(story, "http://%s:8081/" % host, "store", "store-")


def shows_that_the_ipv6_address_of_a_pod_is_meshed(story):
    address, = [one["ip"] for one in story.store["status"]["podIPs"] if ":" in one["ip"]]
    _reached_by_mutual_tls(story, "http://[%s]:8080/" % address, "store", "store-")


def shows_that_a_job_ends_with_its_work(story):
    address = story.kubectl.get("service", "store", SPACE)["spec"]["clusterIP"]
    work = workloads.app_container("work", ("curl", "-sSf", "--max-time", "10", "http://%s:8081/" % address))
    first = workloads.app_container("first", ("curl", "-sSf", "--max-time", "10", "http://%s:8081/" % address))
    story.kubectl.apply(workloads.job("once", work, initContainers=[first]), namespace=SPACE)
    story.kubectl.wait_for_job("once", SPACE)
    pod, = story.kubectl.pods("app=once", SPACE)
    expect_eq(pod["status"]["phase"], "Succeeded", "the pod's phase")
    ended = statuses(pod)["handfast"]["state"].get("terminated", {})
    expect_eq(ended.get("exitCode"), 0, "exit code of the sidecar")
    expect_in("hello-in-plaintext", story.kubectl.logs(pod["metadata"]["name"], "first", SPACE), "the init container's call")


def shows_that_a_cron_jobs_pod_ends_too(story):
    template = workloads.job("tick", workloads.app_container("work", ("true",)), account="once")["spec"]
    cron = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tick"},
            "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": template}}}
    story.kubectl.apply(cron, namespace=SPACE)
    story.kubectl("-n", SPACE, "create", "job", "tick-now", "--from=cronjob/tick")
    story.kubectl.wait_for_job("tick-now", SPACE)
    pod, = story.kubectl.pods("app=tick", SPACE)
    expect("handfast" in statuses(pod), "it had a sidecar")
    story.kubectl.delete_namespace(SPACE)
