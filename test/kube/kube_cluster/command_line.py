"""`handfast`, run on the cluster's machine with a kubeconfig: of the administrator, or of an account with few permissions."""

import json
import os
import subprocess

from handfast_harness import expect, expect_eq
from handfast_harness.namespace import environment

from . import workloads

_RBAC, _AUTHORIZATION = "rbac.authorization.k8s.io", "authorization.k8s.io/v1"


def run(story, *words, kubeconfig=None, home=None, text=None):
    """The finished process. home: has the kubeconfig, in place of a flag; text: its input."""
    argv = [story.binary("handfast"), *words]
    if not home:
        argv += ["--kubeconfig", kubeconfig or story.cluster.pki.kubeconfig("admin")]
    return subprocess.run(story.cluster.machine.argv(argv), input=text or "", capture_output=True, text=True, timeout=90,
                          env=environment({"HOME": home or "/nonexistent"}))


def prints(story, *words, text=None):
    done = run(story, *words, text=text)
    expect_eq((done.returncode, done.stderr), (0, ""), "handfast %s: %s" % (" ".join(words), done.stdout))
    return done.stdout


def answer(story, *words, text=None):
    """Of --output json."""
    return json.loads(prints(story, *words, "--output", "json", text=text))


def refusal(story, code, *words, kubeconfig=None):
    """The three clauses of a failure."""
    done = run(story, *words, "--output", "json", kubeconfig=kubeconfig)
    expect_eq(done.returncode, code, "the exit code; %s%s" % (done.stdout, done.stderr))
    failure = json.loads(done.stderr or done.stdout)
    expect(failure["expected"] and failure["fix"], "a clause is missing: %s" % failure)
    return failure


def check(story, *flags, kubeconfig=None):
    """The exit code, and the findings: {check: [rows]}."""
    done = run(story, "check", "--output", "json", *flags, kubeconfig=kubeconfig)
    expect(done.stdout.startswith("{"), "no JSON: %s%s" % (done.stdout, done.stderr))
    rows = {}
    for row in json.loads(done.stdout).get("findings", []):
        expect(row["well"] or (row["got"] and row["expected"] and row["fix"]), "a row lacks a clause: %s" % row)
        rows.setdefault(row["check"], []).append(row)
    return done.returncode, rows


# --- other kubeconfigs ---

def kubeconfig(story, name, user):
    """That of the administrator with other credentials; user(credentials): what stands in their place."""
    config = json.loads(story.kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
    config["users"] = [{"name": one["name"], "user": user(one["user"])} for one in config["users"]]
    path = os.path.join(story.root, name + ".kubeconfig")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file)
    return path


def of_account(story, space, name):
    token = story.kubectl("-n", space, "create", "token", name).strip()
    return kubeconfig(story, name, lambda _: {"token": token})


def with_rules(story, space, name, *rules):
    """Of a new account with these rules, in that namespace alone."""
    story.kubectl.apply(workloads.account(name), *bound(name, space, "Role", name, rules), namespace=space)
    for rule in rules:
        wait_until_allowed(story, space, name, rule)
    return of_account(story, space, name)


def wait_until_allowed(story, space, name, rule):
    """The API server decides by what it has watched, which is a moment behind what was stored. The last resource and verb."""
    resource, _, subresource = rule["resources"][-1].partition("/")
    review = {"apiVersion": _AUTHORIZATION, "kind": "SubjectAccessReview", "spec": {
        "user": "system:serviceaccount:%s:%s" % (space, name), "resourceAttributes": {
            "namespace": space, "group": rule["apiGroups"][-1], "resource": resource, "subresource": subresource,
            "verb": rule["verbs"][-1]}}}

    def is_allowed():
        _, body = story.cluster.request("/apis/%s/subjectaccessreviews" % _AUTHORIZATION, "POST", json.dumps(review),
                                        {"Content-Type": "application/json"})
        return json.loads(body)["status"].get("allowed")
    story.kubectl.wait("%s to be allowed" % name, is_allowed)


def bound(account, space, kind, name, rules):
    """A Role or a ClusterRole, and its binding to the account."""
    version = _RBAC + "/v1"
    return ({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "rules": list(rules)},
            {"apiVersion": version, "kind": kind + "Binding", "metadata": {"name": name},
             "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": name},
             "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": space}]})
