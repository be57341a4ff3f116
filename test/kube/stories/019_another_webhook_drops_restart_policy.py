"""Another webhook, invoked after ours, drops restartPolicy of init containers: ours is asked again and puts it back, with a
warning; the pod runs.

    kubectl -> API server -> handfast (IfNeeded) -> zz-drops -> handfast again"""

import base64
import os

from handfast_harness import expect_eq, expect_in
from kube_cluster import install, shared, workloads
from kube_cluster.cluster import NODE_IPV4

DEADLINE_S = 420
SPACE, PORT = "two-webhooks", 9443
_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(workloads.__file__)), "dropping_webhook.py")


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    install.installed(story.cluster)
    pki = story.cluster.pki.path
    story.other = story.own(story.cluster.spawn("dropping-webhook", [
        "/usr/bin/python3", _PROGRAM, NODE_IPV4, PORT, pki("server.crt"), pki("server.key")]))
    story.other.wait_for_port(PORT, NODE_IPV4, 60)
    story.kubectl.apply(workloads.namespace(SPACE, **install.LABEL))
    story.kubectl.apply(workloads.account("app"), namespace=SPACE)
    with open(pki("ca.crt"), "rb") as file:
        bundle = base64.b64encode(file.read()).decode()
    story.kubectl.apply({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "zz-drops"},
        "webhooks": [{"name": "drops.example.test", "admissionReviewVersions": ["v1"], "sideEffects": "None",
                      "clientConfig": {"url": "https://%s:%d/" % (NODE_IPV4, PORT), "caBundle": bundle},
                      "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": SPACE}},
                      "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                                 "resources": ["pods"]}]}]})


def shows_that_the_sidecar_stays_native_and_the_pod_runs(story):
    try:
        def warned():
            story.kubectl("-n", SPACE, "delete", "pod", "twice", "--ignore-not-found")
            printed = story.kubectl.apply(workloads.pod("twice", account="app"), namespace=SPACE)
            return printed if "restartPolicy" in printed else None
        printed = story.kubectl.wait("the other webhook to be invoked", warned)
        expect_in("Warning: handfast: restartPolicy: Always of the sidecar was missing", printed, "what kubectl prints")
        pod, = story.kubectl.wait_for_ready("app=twice", 1, SPACE)
        expect_eq({one["name"]: one.get("restartPolicy") for one in pod["spec"]["initContainers"]},
                  {"handfast-init": None, "handfast": "Always"}, "restart policies")
    finally:
        story.kubectl("delete", "mutatingwebhookconfiguration", "zz-drops")
        story.kubectl.delete_namespace(SPACE)
