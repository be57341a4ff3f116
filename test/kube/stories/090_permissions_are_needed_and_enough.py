"""Each permission of the control plane's account is used, and none is missing: the API server's audit log has every request.

    handfast-control -> API server (audit); compared with the ClusterRole and the Role that are installed

The control plane does here what it does rarely: it lists where the API server has no WatchList, and it removes a record."""

import contextlib
import subprocess

from handfast_harness import StoryFailure, expect, expect_eq
from handfast_harness.story import find_binary
from kube_cluster import install, shared, workloads

DEADLINE_S = 420
SPACE = "permissions"
POLICY = {"apiVersion": "handfast.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "strict"}, "spec": {"mode": "strict"}}
# While the control plane does not read policies; when it does, this set can be empty.
NOT_USED_YET = {("handfast.dev", "policies", "list"), ("handfast.dev", "policies", "watch"),
                ("handfast.dev", "policies/status", "patch")}
BANNED = "spiffe://cluster.local/ns/%s/sa/banned" % SPACE


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    install.installed(story.cluster)
    story.kubectl.apply(workloads.namespace(SPACE, **install.LABEL))
    story.kubectl.apply(workloads.account("app"), workloads.pod("app", account="app"), namespace=SPACE)
    story.kubectl.wait_for_ready("app=app", 1, SPACE)
    story.kubectl.apply(POLICY, namespace=SPACE)
    for command in ("ban", "unban"):
        _operate(story, command, BANNED)
    _start_without_watch_list(story)


def _events(story):
    return [event for event in story.cluster.audited()
            if event["user"]["username"].endswith(":handfast-control") and "objectRef" in event]


def _settled(story, what, found):
    """found(): what should be empty, at the latest when replicas have made all requests with which they start."""
    with contextlib.suppress(StoryFailure):
        story.kubectl.wait(what, lambda: not found(), 60)
    return found()


def _operate(story, *words):
    """The operator's command line at one replica: over the socket in the pod's file system, as a process of the pod."""
    pod = story.kubectl.pods(install.CONTROL, install.NAMESPACE)[0]
    pid = str(story.cluster.node.pid_of(pod, "control"))
    argv = ["nsenter", "--target", pid, "--pid", find_binary("handfast"), *words, "--socket",
            "/proc/%s/root/run/handfast/control.sock" % pid]
    done = subprocess.run(argv, capture_output=True, text=True)
    expect_eq(done.returncode, 0, "%s: %s" % (" ".join(words), done.stderr))


def _start_without_watch_list(story):
    """As Kubernetes before 1.34 is by default: watches begin with lists."""
    story.cluster.stop("kube-apiserver")
    story.cluster.start_apiserver("--feature-gates=WatchList=false")
    story.kubectl("-n", install.NAMESPACE, "delete", "pod", "-l", install.CONTROL, "--wait=false")
    story.kubectl.wait("the old replicas to be gone", lambda: len(story.kubectl.get(
        "pods", namespace=install.NAMESPACE, selector=install.CONTROL)) == install.REPLICAS)
    install.wait_for_control(story.cluster)
    wanted = lambda: {_asked(event) for event in story.cluster.audited() if event["verb"] == "list"}
    story.kubectl.wait("its lists", lambda: ("", "pods", "list") in wanted())


def _roles_of_the_namespace(kubectl):
    """Those of the account: other stories leave roles of their operators there."""
    account = ("ServiceAccount", "handfast-control")
    bound = {binding["roleRef"]["name"] for binding in kubectl.get("rolebinding", namespace=install.NAMESPACE)
             if account in [(subject["kind"], subject["name"]) for subject in binding.get("subjects", [])]}
    return [role for role in kubectl.get("role", namespace=install.NAMESPACE) if role["metadata"]["name"] in bound]


def _granted(story):
    """{(group, resource, verb)} of all rules that the account has."""
    kubectl, found = story.cluster.kubectl, set()
    roles = [kubectl.get("clusterrole", "handfast-control")] + _roles_of_the_namespace(kubectl)
    for rule in [rule for role in roles for rule in role["rules"]]:
        found |= {(group, resource, verb) for group in rule["apiGroups"] for resource in rule["resources"]
                  for verb in rule["verbs"]}
    return found


def _asked(event):
    target = event["objectRef"]
    resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
    return target.get("apiGroup", ""), resource, event["verb"]


def shows_that_no_request_was_forbidden(story):
    """An API server that starts has not read its roles yet, and refuses for a moment what it lets through later."""
    expect(_events(story), "the control plane made requests")

    def always_forbidden():
        asked = [(_asked(event), event["objectRef"].get("namespace", ""), event.get("responseStatus", {}).get("code"))
                 for event in _events(story)]
        let_through = {(what, space) for what, space, code in asked if code != 403}
        return {(what, space) for what, space, code in asked if code == 403} - let_through
    expect_eq(_settled(story, "no request to be always forbidden", always_forbidden), set(), "requests that were always forbidden")


def shows_that_each_permission_was_used(story):
    granted = _granted(story) - NOT_USED_YET
    unused = lambda: granted - set(map(_asked, _events(story)))
    expect_eq(_settled(story, "each permission to be used", unused), set(), "permissions that no request used")


def shows_that_others_are_refused(story):
    account = "--as=system:serviceaccount:%s:handfast-control" % install.NAMESPACE
    for verb, resource in (("get", "secrets"), ("list", "configmaps"), ("list", "nodes"), ("create", "pods"),
                           ("create", "pods/exec"), ("patch", "pods"), ("delete", "mutatingwebhookconfigurations"),
                           ("create", "serviceaccounts/token"), ("escalate", "clusterroles")):
        answer = story.cluster.kubectl.run("auth", "can-i", verb, resource, "-A", account, check=False).stdout.strip()
        expect_eq(answer, "no", "%s %s" % (verb, resource))
    patch = story.cluster.kubectl.run("auth", "can-i", "patch", "mutatingwebhookconfigurations/other", account, check=False)
    expect_eq(patch.stdout.strip(), "no", "patch of another webhook configuration")
    story.kubectl.delete_namespace(SPACE)
    story.cluster.stop("kube-apiserver")
    story.cluster.start_apiserver()
