"""`handfast status`, `why`, `certs` and `check` of a pod: by a port that the API server forwards, with nothing new that listens.

    handfast why pod/NAME -n NAMESPACE -> API server -> kubelet -> containerd -> 127.0.0.1:15000 in the pod"""

import base64
import json
import os

from handfast_harness import expect, expect_eq, expect_in
from kube_cluster import install, shop, workloads
from kube_cluster.command_line import answer, kubeconfig, prints, refusal, run, with_rules

DEADLINE_S = 420
SPACE, PLAIN = "asked", "asked-plain"


def arrange(story):
    shop.arrange(story, SPACE, stores=1)
    story.name = story.shop["metadata"]["name"]


def shows_the_status_of_a_pod(story):
    text = prints(story, "status", "pod/" + story.name, "-n", SPACE)
    expect_in("pod %s/%s: spiffe://cluster.local/ns/%s/sa/shop, valid until " % (SPACE, story.name, SPACE), text, "status")
    expect_in("\nready\n", text, "status")
    both = answer(story, "status", story.name, "--namespace", SPACE)
    expect_eq((both["pod"], both["check"]["ready"]), ("%s/%s" % (SPACE, story.name), True), "as JSON")
    expect_eq(both["certs"]["identity"]["id"], "spiffe://cluster.local/ns/%s/sa/shop" % SPACE, "its identity")


def shows_that_the_control_planes_own_commands_run_in_its_pod(story):
    text = story.kubectl("-n", install.NAMESPACE, "exec", "deployment/handfast-control", "-c", "control", "--",
                         "/handfast", "status")
    expect_in("trust domain cluster.local", text, "status of one replica")


def shows_the_other_pages_of_a_pod(story):
    expect_in("trust domain cluster.local", prints(story, "certs", "po/" + story.name, "-n", SPACE), "certs")
    expect_in("ready", prints(story, "check", "pod/" + story.name, "-n", SPACE), "check")


def shows_why_a_call_failed(story):
    """The shop calls a Service that has no port 81: nothing answers there."""
    story.kubectl.apply(dict(workloads.service("closed", 81, 81), spec={
        "selector": {"app": "store"}, "ports": [{"name": "web", "port": 81, "targetPort": 81}]}), namespace=SPACE)
    address = story.kubectl.get("service", "closed", SPACE)["spec"]["clusterIP"]

    def reason():
        story.kubectl.run("-n", SPACE, "exec", story.name, "-c", "app", "--", "curl", "-s", "--max-time", "5",
                          "http://%s:81/" % address, check=False)
        failures = answer(story, "why", "pod/" + story.name, "-n", SPACE)["failures"]
        return next((one for one in failures if address in (one["destination"] or "")), None)
    found = story.kubectl.wait("the failure", reason)
    expect(found["got"] and found["fix"], "a failure with its fix: %s" % found)
    expect_in(address, prints(story, "why", story.name, "-n", SPACE), "as text")


def shows_that_other_pods_cannot_read_them(story):
    """From the store, at the shop's address: only what was there before."""
    address = story.shop["status"]["podIP"]
    done = story.kubectl.run("-n", SPACE, "exec", story.stores[0]["metadata"]["name"], "-c", "app", "--", "curl", "-sS",
                             "--max-time", "5", "http://%s:15000/why" % address, check=False)
    expect(done.returncode != 0, "the page from another pod: %s" % done.stdout)


def shows_what_is_wrong_with_a_name(story):
    expect_in("namespace %s has no pod absent" % SPACE, refusal(story, 69, "why", "pod/absent", "-n", SPACE)["got"], "no pod")
    expect_in("one pod, as pod/NAME", refusal(story, 64, "why", "deployment/shop", "-n", SPACE)["expected"], "no pod's name")
    expect_in("namespace default has no pod", refusal(story, 69, "status", story.name)["got"], "the context's namespace")


def shows_a_pod_without_a_sidecar_and_one_whose_sidecar_does_not_run(story):
    story.kubectl.apply(workloads.namespace(PLAIN))
    waits = workloads.pod("waits")
    waits["spec"]["initContainers"] = [dict(workloads.app_container("handfast"), image="localhost/none:1", restartPolicy="Always")]
    story.kubectl.apply(workloads.pod("plain"), waits, namespace=PLAIN)
    story.kubectl.wait_for_ready("app=plain", 1, PLAIN)
    expect_in("pod %s/plain has no sidecar" % PLAIN, refusal(story, 69, "why", "plain", "-n", PLAIN)["got"], "no sidecar")
    reason = story.kubectl.wait("kubelet's reason", lambda: next(iter(
        [got for got in [refusal(story, 69, "why", "waits", "-n", PLAIN)["got"]] if "ErrImageNeverPull" in got]), None))
    expect_in("the sidecar of pod %s/waits does not run; it waits: " % PLAIN, reason, "it does not run")


def _with_plugin(story, name, status):
    """A kubeconfig whose user is a script that prints these credentials."""
    def plugin(user):
        script = os.path.join(story.root, name)
        with open(script, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\ncat <<'END'\n%s\nEND\n" % json.dumps({
                "kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": status(user)}))
        os.chmod(script, 0o700)
        return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", "command": "./" + name}}
    return kubeconfig(story, name, plugin)


def shows_that_credentials_come_from_a_plugin(story):
    """A token, and the administrator's certificate."""
    def certificate(user):
        return {"clientCertificateData": base64.b64decode(user["client-certificate-data"]).decode(),
                "clientKeyData": base64.b64decode(user["client-key-data"]).decode()}
    words = "why", "pod/" + story.name, "-n", SPACE
    done = run(story, *words, kubeconfig=_with_plugin(story, "certificate", certificate))
    expect_eq((done.returncode, done.stderr), (0, ""), "with a certificate")
    failure = refusal(story, 77, *words, kubeconfig=_with_plugin(story, "token", lambda _: {"token": "none"}))
    expect_in("does not accept this kubeconfig's credentials", failure["got"], "a token that is none")


def shows_which_permissions_are_needed_and_enough(story):
    pods = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    forward = {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]}
    words = "why", "pod/" + story.name, "-n", SPACE
    failure = refusal(story, 77, *words, kubeconfig=with_rules(story, SPACE, "nothing"))
    expect_in("may not get pods of namespace %s" % SPACE, failure["got"], "without get")
    failure = refusal(story, 77, *words, kubeconfig=with_rules(story, SPACE, "reader", pods))
    expect_in("may not forward a port to pods of namespace %s" % SPACE, failure["got"], "without pods/portforward")
    expect_in("pods/portforward", failure["expected"], "the permission")
    failure = refusal(story, 77, *words, kubeconfig=with_rules(story, SPACE, "getter", pods, dict(forward, verbs=["get"])))
    expect_in("may not forward a port to pods of namespace %s" % SPACE, failure["got"], "without create")
    done = run(story, *words, kubeconfig=with_rules(story, SPACE, "asker", pods, forward))
    expect_eq((done.returncode, done.stderr), (0, ""), "with both")
    for name in (SPACE, PLAIN):
        story.kubectl.delete_namespace(name)
