"""The mesh's keys and records are in the cluster: every replica can be replaced, all at once too, and nothing begins anew.

    handfast-control, 2 replicas -> records.handfast.dev, Secret handfast-control-keys; no volume of their own"""

import json

from handfast_harness import expect, expect_eq, expect_in
from kube_cluster import install, shared

DEADLINE_S = 420
SECRET = "handfast-control-keys"
ACCOUNT = "system:serviceaccount:%s:handfast-control" % install.NAMESPACE
CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/handfast"
EVERYTHING = [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}]


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    story.pods = install.installed(story.cluster)


def _keys(story):
    secret = story.kubectl.get("secret", SECRET, install.NAMESPACE)
    return secret and secret["data"]


def _records(story):
    """{key: value} of what never changes by itself."""
    records = story.kubectl.get("records.handfast.dev", namespace=install.NAMESPACE)
    return {one["spec"]["key"]: one["spec"]["value"] for one in records if one["spec"]["key"] in
            ("authority/known", "store/incarnation")}


def _replace_all(story):
    story.kubectl("-n", install.NAMESPACE, "delete", "pod", "-l", install.CONTROL, "--wait=true", timeout_s=90)


def shows_that_new_replicas_have_the_keys_and_records_of_the_old(story):
    story.before = _keys(story), _records(story)
    expect_eq(len(story.before[1]), 2, "records that stay: %s" % list(story.before[1]))
    _replace_all(story)
    pods = install.wait_for_control(story.cluster)
    expect(not {pod["metadata"]["name"] for pod in pods} & {pod["metadata"]["name"] for pod in story.pods}, "new pods")
    expect_eq((_keys(story), _records(story)), story.before, "keys and records")


def shows_that_no_replica_makes_new_keys_beside_the_records_of_a_mesh(story):
    secret = story.kubectl.get("secret", SECRET, install.NAMESPACE)
    story.kubectl("-n", install.NAMESPACE, "delete", "secret", SECRET)
    _replace_all(story)
    story.kubectl.wait("the reason in a new replica's log", lambda: "its keys are missing" in _log_of_keys(story))
    expect_eq(_keys(story), None, "a Secret")
    expect_in("restore the Secret from a backup", _log_of_keys(story), "the log")
    secret["metadata"] = {"name": SECRET, "labels": secret["metadata"]["labels"]}
    story.kubectl.apply(secret, namespace=install.NAMESPACE)
    install.wait_for_control(story.cluster)
    expect_eq((_keys(story), _records(story)), story.before, "keys and records after the restore")


def shows_that_keys_that_no_record_names_are_refused_until_an_operator_adopts_them(story):
    for record in story.kubectl.get("records.handfast.dev", namespace=install.NAMESPACE):
        if record["spec"]["key"].startswith("authority/"):
            story.kubectl("-n", install.NAMESPACE, "delete", "records.handfast.dev", record["metadata"]["name"])
    _replace_all(story)
    story.kubectl.wait("the reason in a new replica's log",
                       lambda: "no record names the keys of the Secret" in _log_of_keys(story))
    expect_in("--adopt", _log_of_keys(story), "the log")
    expect("authority/known" not in _records(story), "a replica serves the keys")
    path = "/spec/template/spec/initContainers/0/args/-"
    story.kubectl("-n", install.NAMESPACE, "patch", "deployment", "handfast-control", "--type", "json", "-p",
                  json.dumps([{"op": "add", "path": path, "value": "--adopt"}]))
    install.wait_for_control(story.cluster)
    expect_in("adopted the keys of the Secret", _log_of_keys(story), "the log")
    expect_eq((_keys(story), _records(story)), story.before, "keys and records after the adoption")
    story.kubectl.apply(install.manifest())
    story.kubectl.wait_for_rollout("handfast-control", install.NAMESPACE)
    expect_in("took the keys of the Secret", _log_of_keys(story), "the log of a start without --adopt")


def shows_that_of_the_webhook_configuration_its_account_can_change_the_authorities_alone(story):
    webhook, = story.kubectl.get("mutatingwebhookconfiguration", "handfast")["webhooks"]
    expect_eq(_patch(story, "clientConfig/caBundle", webhook["clientConfig"]["caBundle"])[0], 200, "the authorities")
    for member, value in (("rules", EVERYTHING), ("namespaceSelector", {}), ("objectSelector", {}), ("-", webhook),
                          ("clientConfig/service/namespace", "default"), ("clientConfig/service/path", "/other"),
                          ("failurePolicy", "Ignore"), ("matchConditions", [{"name": "none", "expression": "false"}])):
        status, body = _patch(story, member, dict(webhook, name="other.handfast.dev") if member == "-" else value)
        expect_eq(status, 422, "the answer to a change of %s" % member)
        expect_in(b"may change caBundle alone", body, "the answer to a change of %s" % member)


def _patch(story, member, value):
    """(status, body) of a change by the control plane's account."""
    path = "/webhooks/-" if member == "-" else "/webhooks/0/" + member
    headers = {"Impersonate-User": ACCOUNT, "Content-Type": "application/json-patch+json"}
    return story.cluster.request(CONFIGURATION, "PATCH", json.dumps([{"op": "add", "path": path, "value": value}]), headers)


def _log_of_keys(story):
    return "".join(story.kubectl.run("-n", install.NAMESPACE, "logs", pod["metadata"]["name"], "-c", "keys", *more,
                                     check=False).stdout
                   for pod in story.kubectl.pods(install.CONTROL, install.NAMESPACE) for more in ((), ("-p",)))
