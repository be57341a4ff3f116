"""Handfast in a cluster, as its users install it: deploy/kubernetes/handfast.yaml, and a label on a namespace."""

import os
import sys

from handfast_harness.expect import StoryFailure

from . import images
from .kubectl import state_of

_ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
sys.path.insert(0, os.path.join(_ROOT, "deploy", "kubernetes"))

import generate  # noqa: E402 (the path must be set first)

NAMESPACE, CONTROL, WEBHOOK = "handfast-system", "app.kubernetes.io/name=handfast-control", "handfast-webhook"
LABEL = {"handfast.dev/inject": "enabled"}


def manifest(**changes):
    """handfast.yaml with the images of this test; changes: values of the chart, `.` written as `__`."""
    values = {name.replace("__", "."): str(value) for name, value in changes.items()}
    return generate.manifest({"image.prefix": images.PREFIX, "image.tag": images.TAG, "image.pullPolicy": "Never",
                              **values})


def manifest_of_cni(cluster):
    """handfast-cni.yaml for the node of this test."""
    return generate.manifest({"image.prefix": images.PREFIX, "image.tag": images.TAG, "image.pullPolicy": "Never",
                              "cni.binDir": cluster.path("cni-bin"), "cni.confDir": cluster.path("cni")},
                             generate.SOURCES[1])


REPLICAS = int(next(default for name, default, _ in generate.VALUES if name == "replicas"))


def install(cluster, **changes):
    """kubectl apply, then waits for the control plane. Returns its pods. The images must have been imported."""
    cluster.kubectl.apply(manifest(**changes))
    return wait_for_control(cluster, int(changes.get("replicas", REPLICAS)))


def wait_for_control(cluster, num=REPLICAS, deadline_s=180.0):
    try:
        pods = cluster.kubectl.wait_for_ready(CONTROL, num, NAMESPACE, deadline_s)
    except StoryFailure as failure:
        raise StoryFailure("%s; the log ends: %s" % (failure, control_logs(cluster)[-600:])) from None
    _wait_for_webhook(cluster, deadline_s)
    return pods


def _wait_for_webhook(cluster, deadline_s):
    """Replicas are ready before kube-proxy has their endpoints, and until then the API server's calls are refused. Dialed
    from the network of the API server, by the address that it dials."""
    address = cluster.kubectl.get("service", WEBHOOK, NAMESPACE)["spec"]["clusterIP"]
    cluster.kubectl.wait("kube-proxy to have the endpoints of %s" % WEBHOOK, lambda: _answers(cluster, address), deadline_s)


def _answers(cluster, address):
    try:
        cluster.machine.connect(address, 443, timeout_s=2.0).close()
        return True
    except OSError:
        return False


def set_leaf_ttl(cluster, value):
    """Replicas read it when they start. Returns their pods."""
    cluster.kubectl.apply(manifest(identity__leafTtl=value))
    cluster.kubectl("-n", NAMESPACE, "rollout", "restart", "deployment/handfast-control")
    cluster.kubectl.wait_for_rollout("handfast-control", NAMESPACE)
    return wait_for_control(cluster)


def control_logs(cluster):
    pods = cluster.kubectl.get("pods", namespace=NAMESPACE, selector=CONTROL)
    logs = ["%s\n%s" % (state_of(pod), cluster.kubectl.run(
        "-n", NAMESPACE, "logs", pod["metadata"]["name"], "--tail", "50", check=False).stdout) for pod in pods]
    return "\n".join(logs)


def uninstall(cluster, **changes):
    cluster.kubectl("delete", "-f", "-", "--ignore-not-found", text=manifest(**changes), timeout_s=120)


def installed(cluster):
    """Installs Handfast unless it is there; stories that do not test the install begin with this."""
    images.import_handfast_once(cluster)
    if not cluster.kubectl.get("namespace", NAMESPACE):
        return install(cluster)
    return wait_for_control(cluster)
