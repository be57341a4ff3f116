"""Each permission of the control plane's account is used, and none is missing: the API server's audit log has every request.

    handfast-control -> API server (audit) ; compared with the ClusterRole and the Role that are installed

Runs after the stories that make the control plane do everything it does."""

from handfast_harness import expect, expect_eq
from kube_cluster import install, shared

DEADLINE_S = 180


def arrange(story):
    story.cluster = shared.cluster()
    install.installed(story.cluster)
    story.events = [event for event in story.cluster.audited() if event["user"]["username"].endswith(":handfast-control")]


def _granted(story):
    """{(group, resource, verb)} of all rules that the account has."""
    kubectl, found = story.cluster.kubectl, set()
    roles = [kubectl.get("clusterrole", "handfast-control")] + kubectl.get("role", namespace=install.NAMESPACE)
    for rule in [rule for role in roles for rule in role["rules"]]:
        found |= {(group, resource, verb) for group in rule["apiGroups"] for resource in rule["resources"]
                  for verb in rule["verbs"]}
    return found


def _asked(event):
    target = event["objectRef"]
    resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
    return target.get("apiGroup", ""), resource, event["verb"]


def shows_that_no_request_was_forbidden(story):
    expect(story.events, "the control plane made requests")
    forbidden = {_asked(event) for event in story.events if event.get("responseStatus", {}).get("code") == 403}
    expect_eq(forbidden, set(), "requests that were forbidden")


def shows_that_each_permission_was_used(story):
    used = {_asked(event) for event in story.events if "objectRef" in event}
    expect_eq(_granted(story) - used, set(), "permissions that no request used")


def shows_that_others_are_refused(story):
    account = "--as=system:serviceaccount:%s:handfast-control" % install.NAMESPACE
    for verb, resource in (("get", "secrets"), ("list", "configmaps"), ("list", "nodes"), ("create", "pods"),
                           ("create", "pods/exec"), ("patch", "pods"), ("delete", "mutatingwebhookconfigurations"),
                           ("create", "serviceaccounts/token"), ("escalate", "clusterroles")):
        answer = story.cluster.kubectl.run("auth", "can-i", verb, resource, "-A", account, check=False).stdout.strip()
        expect_eq(answer, "no", "%s %s" % (verb, resource))
    patch = story.cluster.kubectl.run("auth", "can-i", "patch", "mutatingwebhookconfigurations/other", account, check=False)
    expect_eq(patch.stdout.strip(), "no", "patch of another webhook configuration")
