"""Ports that refuse plaintext, in pods with every kind of probe: kubelet sees them as healthy, and strangers get nothing.

    kubelet (plaintext) -> 15020 of the sidecar -> app    stranger (no sidecar) -x-> app    client (meshed) -> app"""

import json

from handfast_harness import expect, expect_eq, expect_in
from kube_cluster import install, shared, workloads
from kube_cluster.kubectl import is_ready, statuses

DEADLINE_S = 420
SPACE, OUTSIDE = "strict", "strict-outside"
STRICT = {"handfast.dev/inbound-mode": "strict"}
PROBES = {
    "http": {"httpGet": {"path": "/", "port": workloads.PORT}},
    "tcp": {"tcpSocket": {"port": workloads.PORT}},
    "named": {"httpGet": {"path": "/", "port": "web"}},
    "exec": {"exec": {"command": ["true"]}},
}


def _pod(name, probe):
    timed = {**probe, "periodSeconds": 1, "failureThreshold": 2, "timeoutSeconds": 5}  # also on a busy machine
    container = workloads.app_container(ports=[{"containerPort": workloads.PORT, "name": "web"}], livenessProbe=timed,
                                        readinessProbe=timed, startupProbe={**timed, "failureThreshold": 30})
    return workloads.pod(name, container, account="app", annotations=STRICT)


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    install.installed(story.cluster)
    story.kubectl.apply(workloads.namespace(SPACE, **install.LABEL), workloads.namespace(OUTSIDE))
    story.kubectl.apply(workloads.account("app"), workloads.account("client"),
                        *(_pod(name, probe) for name, probe in PROBES.items()),
                        workloads.pod("client", workloads.sleeper(), account="client"), namespace=SPACE)
    story.kubectl.apply(workloads.pod("stranger", workloads.sleeper()), namespace=OUTSIDE)


def shows_that_pods_with_each_kind_of_probe_become_ready_and_stay_so(story):
    story.pods = {name: story.kubectl.wait_for_ready("app=" + name, 1, SPACE)[0] for name in PROBES}
    story.kubectl.wait_for_ready("app=client", 1, SPACE)
    story.kubectl.wait_for_ready("app=stranger", 1, OUTSIDE)
    for name in PROBES:
        pod = story.kubectl.get("pod", name, SPACE)
        expect(is_ready(pod), "%s is not ready any more" % name)
        expect_eq(statuses(pod)["app"]["restartCount"], 0, "restarts of %s" % name)


def shows_that_a_stranger_gets_nothing_and_a_meshed_client_everything(story):
    url = "http://%s:8080/" % story.pods["http"]["status"]["podIP"]
    refused = story.kubectl.run("-n", OUTSIDE, "exec", "stranger", "-c", "app", "--", "curl", "-sS", "--max-time", "5", url,
                                check=False)
    expect(refused.returncode != 0 and "hello" not in refused.stdout, "the stranger got %r" % refused.stdout)
    expect_in("hello-in-plaintext", story.kubectl.exec("client", "app", "curl", "-sS", "--max-time", "10", url,
                                                       namespace=SPACE), "the client's answer")


def shows_that_a_probe_reports_what_the_app_does(story):
    """An app that no longer answers becomes not ready: the sidecar does not answer in its place."""
    story.kubectl.exec("http", "app", "sh", "-c", "kill -STOP -1", namespace=SPACE)  # nginx' worker
    story.kubectl.wait("the pod not to be ready", lambda: not is_ready(story.kubectl.get("pod", "http", SPACE)))
    story.kubectl.wait("an event of the probe", lambda: "probe failed" in json.dumps(story.kubectl.get("events", namespace=SPACE)))
    for name in (SPACE, OUTSIDE):
        story.kubectl.delete_namespace(name)
