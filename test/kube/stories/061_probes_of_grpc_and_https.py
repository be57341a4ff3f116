"""Probes of gRPC's health service and over HTTPS, of a server that refuses plaintext from strangers: kubelet sees it as
healthy while it is, and as not ready once it hangs.

    kubelet -> 15020 of the sidecar -> etcd (grpc.health.v1.Health on 2379; https://.../health on 2381, as in a static pod)"""

import json
import os
import signal

from handfast_harness import expect, expect_eq, expect_in
from kube_cluster import images, install, shared, workloads
from kube_cluster.kubectl import is_ready, statuses

DEADLINE_S = 420
SPACE = "probed"
STRICT = {"handfast.dev/inbound-mode": "strict"}
GRPC, HTTPS = 2379, 2381
KINDS = {"grpc": {"grpc": {"port": GRPC}}, "grpc-service": {"grpc": {"port": GRPC, "service": ""}},
         "https": {"httpGet": {"path": "/health", "port": HTTPS, "scheme": "HTTPS"}}}


def _server(name, probe):
    timed = {**probe, "periodSeconds": 1, "failureThreshold": 2, "timeoutSeconds": 5}  # also on a busy machine
    flags = ["--listen-client-urls", "http://0.0.0.0:%d" % GRPC, "--advertise-client-urls", "http://127.0.0.1:%d" % GRPC,
             "--listen-peer-urls", "http://127.0.0.1:2380", "--unsafe-no-fsync",
             "--listen-metrics-urls", "https://0.0.0.0:%d" % HTTPS, "--cert-file", "/keys/tls.crt", "--key-file",
             "/keys/tls.key"]
    container = workloads.app_container(
        "etcd", image=images.ETCD, args=flags, ports=[{"containerPort": GRPC}, {"containerPort": HTTPS}],
        livenessProbe={**timed, "failureThreshold": 30}, readinessProbe=timed,
        startupProbe={**timed, "failureThreshold": 30}, volumeMounts=[{"name": "keys", "mountPath": "/keys"}])
    return workloads.pod(name, container, account="app", annotations=STRICT,
                         volumes=[{"name": "keys", "secret": {"secretName": "keys"}}])


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    install.installed(story.cluster)
    images.import_etcd(story.cluster)
    story.kubectl.apply(workloads.namespace(SPACE, **install.LABEL))
    pki = story.cluster.pki.path
    story.kubectl("-n", SPACE, "create", "secret", "tls", "keys", "--cert", pki("server.crt"), "--key", pki("server.key"))
    printed = story.kubectl.apply(workloads.account("app"), *(_server(*kind) for kind in KINDS.items()), namespace=SPACE)
    expect_in("over HTTPS as a TCP probe of port %d" % HTTPS, printed, "what kubectl prints")


def shows_that_the_pods_become_ready_and_stay_so(story):
    for name in KINDS:
        story.kubectl.wait_for_ready("app=" + name, 1, SPACE)
    for name in KINDS:
        pod = story.kubectl.get("pod", name, SPACE)
        expect(is_ready(pod), "%s is not ready any more" % name)
        expect_eq(statuses(pod)["etcd"]["restartCount"], 0, "restarts of %s" % name)
        for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
            expect_eq(pod["spec"]["containers"][0][kind]["httpGet"]["port"], 15020, "port of the %s" % kind)


def shows_that_a_server_that_hangs_is_not_ready(story):
    """gRPC gets no answer; over TCP the kernel accepts in the server's name: hence the warning."""
    pod = story.kubectl.get("pod", "grpc", SPACE)
    pid = story.cluster.node.pid_of(pod, "etcd")
    os.kill(pid, signal.SIGSTOP)
    try:
        story.kubectl.wait("the pod not to be ready", lambda: not is_ready(story.kubectl.get("pod", "grpc", SPACE)))
    finally:
        os.kill(pid, signal.SIGCONT)
    story.kubectl.wait_for_ready("app=grpc", 1, SPACE)
    story.kubectl.wait("an event of the probe", lambda: "probe failed" in json.dumps(story.kubectl.get("events", namespace=SPACE)))
    story.kubectl.delete_namespace(SPACE)
