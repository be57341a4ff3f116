"""`handfast check` shows what is wrong with a cluster, each with its fix: before an install, in it, and before it is removed.

    handfast check -> API server ; namespaces: one that is well, one that Pod Security closes, one with pods from before"""

import json
import subprocess
import time

from handfast_harness import expect, expect_eq, expect_in
from handfast_harness.namespace import environment
from kube_cluster import install, shared, workloads
from kube_cluster.command_line import check, of_account

DEADLINE_S = 420
GOOD, OLD, CLOSED, BROKEN = "check-good", "check-old", "check-closed", "check-broken"


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    install.installed(story.cluster)


def _wrong(rows):
    return {check for check, of in rows.items() if not all(row["well"] for row in of)}


def shows_that_permissions_are_those_that_the_manifest_needs(story):
    objects = story.kubectl("create", "--dry-run=client", "-o", "name", "-f", "-", text=install.manifest()).split()
    kinds = {name.partition("/")[0].partition(".")[0] for name in objects}
    _, rows = check(story, "--pre")
    expect_eq(_wrong(rows), set(), "what is wrong")
    expect_in("all %d kinds" % len(kinds), rows["permission"][0]["detail"], "the permissions")
    expect_in("Kubernetes v1.", rows["server-version"][0]["detail"], "the version")


def shows_what_an_account_may_not(story):
    story.kubectl.apply(workloads.namespace(GOOD, **install.LABEL))
    story.kubectl.apply(workloads.account("stranger"), namespace=GOOD)
    code, rows = check(story, "--pre", kubeconfig=of_account(story, GOOD, "stranger"))
    expect_eq(code, 1, "the exit code")
    expect(len(rows["permission"]) > 12, "permissions that are missing")
    expect_in("may not get /api/v1/namespaces", rows["namespaces"][0]["got"], "what it may not read")


def shows_that_an_install_is_well(story):
    story.kubectl.apply(workloads.pod("app"), workloads.pod("outside", labels={"handfast.dev/inject": "disabled"}),
                        namespace=GOOD)
    story.kubectl.wait_for_ready("app=app", 1, GOOD)
    for _ in range(60):  # pods of the story before may still be starting
        code, rows = check(story)
        wrong = _wrong(rows) - {"pods-without-sidecar"}
        if wrong != {"sidecar-ready"}:
            break
        time.sleep(1)  # duration: the pause between two polls
    expect_eq(wrong, set(), "what is wrong: %s" % [row for of in rows.values() for row in of if not row["well"]])
    expect_in("gets a sidecar", rows["injection"][0]["detail"], "the webhook, tried")
    expect(code in (0, 1), "the exit code")


def _inject(story, objects, *flags):
    argv = [story.binary("handfast"), "inject", "-f", "-", "--output", "json", *flags]
    done = subprocess.run(story.cluster.machine.argv(argv), input="\n---\n".join(map(json.dumps, objects)),
                          capture_output=True, text=True, timeout=60, env=environment())
    expect_eq((done.returncode, done.stderr), (0, ""), "handfast inject")
    return json.loads(done.stdout)["items"]


def shows_that_inject_prints_what_the_webhook_does(story):
    """The pod of the cluster, and the same pod injected on this machine: equal but for what admission adds."""
    pod, deployment = _inject(story, (workloads.pod("app"), workloads.deployment("web")), "--kubeconfig",
                              story.cluster.pki.kubeconfig("admin"), "--namespace", GOOD)
    expect_eq([one["name"] for one in deployment["spec"]["template"]["spec"]["initContainers"]],
              ["handfast-init", "handfast"], "the template's init containers")
    real = story.kubectl.get("pod", "app", GOOD)["spec"]["initContainers"]
    for mine, its in zip(pod["spec"]["initContainers"], real):
        for member in ("name", "image", "args", "env", "securityContext", "restartPolicy"):
            expect_eq(mine.get(member) or None, its.get(member) or None, "%s of %s" % (member, its["name"]))
    pod["metadata"]["name"] = "applied"
    pod["metadata"]["labels"]["app"] = "applied"
    story.kubectl.apply(pod, namespace=GOOD)
    again = story.kubectl.get("pod", "applied", GOOD)["spec"]["initContainers"]
    expect_eq(len(again), len(real), "init containers of the pod that was applied")
    story.kubectl("-n", GOOD, "delete", "pod", "applied", "--wait=false")


def shows_why_a_sidecar_is_not_ready_in_its_own_words(story):
    """Injected without a cluster, with the address of no control plane, where no webhook repairs it."""
    real = story.kubectl.get("pod", "app", GOOD)["spec"]["initContainers"]
    pods = _inject(story, [workloads.pod("alone")], "--control-address", "192.0.2.99:15012", "--root-sha256", "0" * 64,
                   "--init-image", real[0]["image"], "--sidecar-image", real[1]["image"])
    story.kubectl.apply(workloads.namespace(BROKEN))
    story.kubectl.apply(*pods, namespace=BROKEN)

    def reason():
        texts = [row["got"] for row in check(story)[1].get("sidecar-ready", ())]
        return next((text for text in texts if BROKEN in text and "failed: " in text), None)
    expect_in("1 sidecar of namespace %s not ready: alone (failed: " % BROKEN,
              story.kubectl.wait("the reason", reason), "found")
    story.kubectl("-n", BROKEN, "delete", "pod", "alone", "--grace-period=1")


def shows_pods_from_before_the_label_and_namespaces_that_refuse(story):
    story.kubectl.apply(workloads.namespace(OLD), workloads.namespace(
        CLOSED, **install.LABEL, **{"pod-security.kubernetes.io/enforce": "baseline"}))
    story.kubectl.apply(workloads.pod("before"), namespace=OLD)
    story.kubectl("label", "namespace", OLD, "handfast.dev/inject=enabled")
    code, rows = check(story)
    expect_eq(code, 1, "the exit code")
    texts = [row["got"] for row in rows["pods-without-sidecar"]]
    expect("1 pod of namespace %s has no sidecar: before" % OLD in texts, "found: %s" % texts)
    expect_in("namespace %s enforces baseline" % CLOSED, rows["pod-security"][0]["got"], "Pod Security")


def shows_a_sidecar_of_another_release(story):
    story.kubectl("-n", GOOD, "annotate", "--overwrite", "pod", "app", "handfast.dev/version=0.0.1")
    _, rows = check(story)
    expect_in("1 pod of namespace %s has a sidecar of another release: app" % GOOD, rows["sidecar-version"][0]["got"], "found")


def shows_what_an_uninstall_would_leave(story):
    code, rows = check(story, "--uninstall")
    expect_eq(code, 1, "the exit code")
    texts = [row["got"] for row in rows["pods-with-sidecar"]]
    expect("1 pod of namespace %s still has a sidecar" % GOOD in texts, "found: %s" % texts)
    for name in (GOOD, OLD, CLOSED, BROKEN):
        story.kubectl.delete_namespace(name)
