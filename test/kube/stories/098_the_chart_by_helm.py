"""Helm itself installs the chart, changes a value, goes back, and removes all of it.

    helm lint, template, install, upgrade, rollback, uninstall -> API server"""

import json
import os
import subprocess

from handfast_harness import expect_eq, expect_in
from handfast_harness.namespace import environment
from kube_cluster import images, install, shared, shop
from peers import others

import generate  # deploy/kubernetes, which install names

DEADLINE_S = 1200  # Helm is built at the first run
SPACE, RELEASE = "by-helm", "handfast"
CHART = os.path.join(os.path.dirname(generate.__file__), "chart")
PARTNERS = [{"trust_domain": "partner.example", "url": "https://bundle.partner.example/", "profile": "https_spiffe"}]
IMAGES = ("--set", "image.prefix=" + images.PREFIX, "--set", "image.tag=" + images.TAG, "--set", "image.pullPolicy=Never")


def arrange(story):
    story.helm = others.helm()
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    images.import_handfast_once(story.cluster)
    if story.helm:
        install.uninstall(story.cluster)
        story.kubectl.wait("Handfast of earlier stories to be gone",
                           lambda: not story.kubectl.get("namespace", install.NAMESPACE))


def _run_helm(story, *words, namespace="default"):
    argv = [story.helm, "--kubeconfig", story.cluster.pki.kubeconfig("admin"), "--namespace", namespace, *words]
    return subprocess.run(story.cluster.machine.argv(argv), capture_output=True, text=True, timeout=150,
                          env=environment({"HOME": story.root}))


def _helm(story, *words):
    done = _run_helm(story, *words)
    expect_eq(done.returncode, 0, "helm %s: %s%s" % (" ".join(words), done.stdout[-1000:], done.stderr[-1000:]))
    return done.stdout


def _objects(story, text):
    """{kind and name: object}, as kubectl reads them."""
    printed = story.kubectl("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-", text=text)
    decoder, found, at = json.JSONDecoder(), {}, 0
    while at < len(printed.rstrip()):
        one, at = decoder.raw_decode(printed, at)
        for item in one.get("items", [one]):
            found[item["kind"], item["metadata"]["name"]] = item
        at += len(printed[at:]) - len(printed[at:].lstrip())
    return found


def shows_that_helm_finds_no_fault_and_makes_the_objects_of_the_one_file(story):
    if not story.helm:
        return
    expect_in("0 chart(s) failed", _helm(story, "lint", "--strict", CHART), "helm lint")
    version = story.kubectl("version", "-o", "json")
    by_helm = _objects(story, _helm(story, "template", RELEASE, CHART, *IMAGES,
                                    "--kube-version", json.loads(version)["serverVersion"]["gitVersion"]))
    by_file = _objects(story, install.manifest())
    expect_eq(sorted(by_helm), sorted(by_file), "the objects")
    for name, of_file in by_file.items():
        expect_eq(by_helm[name], of_file, "object %s %s" % name)


def shows_that_a_value_that_does_not_exist_or_fit_is_refused(story):
    if not story.helm:
        return
    for value, reason in (("replica=3", "replica"), ("policy.defaultMode=stric", "permissive"), ("replicas=two", "replicas"),
                        ("cni.enabled=yes", "enabled")):
        done = _run_helm(story, "template", RELEASE, CHART, "--kube-version", "1.37.0", "--set", value)
        expect_eq(done.returncode, 1, "helm template --set %s: %s" % (value, done.stdout[-200:]))
        expect_in(reason, done.stderr, "the reason for %s" % value)


def shows_that_a_release_beside_its_own_namespace_is_refused_before_anything_is_made(story):
    """`--create-namespace` would make the namespace that the chart makes, and leave half of the objects."""
    if not story.helm:
        return
    done = _run_helm(story, "install", RELEASE, CHART, *IMAGES, "--create-namespace", namespace=install.NAMESPACE)
    expect_eq(done.returncode, 1, "helm install --create-namespace: %s" % done.stdout)
    expect_in("--namespace default", done.stderr, "the way out")
    expect_eq(_left(story), [], "objects of the attempt")


def shows_that_an_install_makes_a_mesh(story):
    if not story.helm:
        return
    _helm(story, "install", RELEASE, CHART, *IMAGES, "--wait", "--timeout", "180s")
    install.wait_for_control(story.cluster)
    shop.arrange(story, SPACE, stores=1)
    answer = story.kubectl.exec(story.shop["metadata"]["name"], "app", "curl", "-sS", "--max-time", "10",
                                "http://%s/" % story.address, namespace=SPACE)
    expect_in("hello-in-plaintext from store-", answer, "a call through the mesh")


def _control_pod(story):
    return story.kubectl.wait_for_ready("app.kubernetes.io/name=handfast-control", 3, install.NAMESPACE)[0]["metadata"]["name"]


def _control_plane(story):
    return story.kubectl.get("deployment", "handfast-control", install.NAMESPACE)


def shows_an_upgrade_a_rollback_and_an_uninstall_that_leaves_nothing(story):
    if not story.helm:
        return
    before = _control_plane(story)["spec"]
    _helm(story, "upgrade", RELEASE, CHART, *IMAGES, "--set", "identity.leafTtl=2h", "--set", "replicas=3", "--set",
          "federation.port=15013", "--set-json", "federation.partners=" + json.dumps(PARTNERS), "--wait", "--timeout", "180s")
    _helm(story, "upgrade", RELEASE, CHART, "--reset-then-reuse-values", "--wait", "--timeout", "180s")  # as the page has it
    expect_eq(_control_plane(story)["spec"]["replicas"], 3, "replicas after the upgrade")
    settings = json.dumps(story.kubectl.get("configmaps", namespace=install.NAMESPACE))
    expect_in("2h", settings, "the settings after the upgrade")
    story.kubectl("-n", install.NAMESPACE, "rollout", "restart", "deployment/handfast-control")
    story.kubectl.wait_for_rollout("handfast-control", install.NAMESPACE)  # else the pods of before would be found ready
    install.wait_for_control(story.cluster, 3)
    address = story.kubectl.get("service", "handfast-control", install.NAMESPACE)["spec"]["clusterIP"]
    fetch = story.cluster.machine.argv(["curl", "-sSk", "--max-time", "5", "https://%s:15013/" % address])
    story.kubectl.wait("the bundle at the Service", lambda: "spiffe_sequence" in subprocess.run(
        fetch, capture_output=True, text=True, check=False).stdout)
    listed = story.kubectl.exec(_control_pod(story), "control", "/handfast", "federation", "list", namespace=install.NAMESPACE)
    expect_in("partner.example", listed, "the partners")
    _helm(story, "rollback", RELEASE, "1", "--wait", "--timeout", "180s")
    after = _control_plane(story)["spec"]
    after["template"]["metadata"]["annotations"].pop("kubectl.kubernetes.io/restartedAt")  # kubectl's, not Helm's
    expect_eq(after, before, "the control plane after the rollback")
    story.kubectl.delete_namespace(SPACE)
    _helm(story, "uninstall", RELEASE, "--wait", "--timeout", "180s")
    story.kubectl.wait("every object to be gone", lambda: not _left(story))


def _left(story):
    kinds = ("namespace", "customresourcedefinition", "mutatingwebhookconfiguration", "clusterrole", "clusterrolebinding",
             "validatingadmissionpolicy", "validatingadmissionpolicybinding", "secret")
    return [one for one in story.kubectl("get", ",".join(kinds), "-A", "-o", "name").split() if "handfast" in one]
