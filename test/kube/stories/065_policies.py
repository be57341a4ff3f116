"""Policies of a namespace: who may call whom by objects, with a status that counts the sidecars that have them in force.

    allowed, other (meshed) -> app, whose Policy names the first    kubectl -> Policy -> control plane -> sidecar of app"""

from handfast_harness import expect, expect_in
from kube_cluster import install, shared, workloads

DEADLINE_S = 240
SPACE = "policies"


def _policy(name, **spec):
    return {"apiVersion": "handfast.dev/v1alpha1", "kind": "Policy", "metadata": {"name": name, "namespace": SPACE}, "spec": spec}


def _allow(*sources):
    return {"name": "callers", "action": "allow", "ports": [workloads.PORT], "sources": list(sources)}


def _status(story, name):
    return story.kubectl.get("policies.handfast.dev", name, SPACE).get("status", {})


def _in_force(story, name, generation):
    status = _status(story, name)
    return (status.get("accepted") and status["observedGeneration"] == generation and status["sidecars"] == 1
            and status["sidecarsInForce"] == 1)


def _call(story, client):
    url = "http://%s:%u/" % (story.address, workloads.PORT)
    return story.kubectl.run("-n", SPACE, "exec", client, "-c", "app", "--", "curl", "-sS", "--max-time", "5", url, check=False)


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    install.installed(story.cluster)
    story.kubectl.apply(workloads.namespace(SPACE, **install.LABEL))
    for name in ("server", "allowed", "other"):
        container = workloads.app_container() if name == "server" else workloads.sleeper()
        story.kubectl.apply(workloads.account(name), workloads.pod(name, container, account=name), namespace=SPACE)
    story.address = story.kubectl.wait_for_ready("app=server", 1, SPACE, 90)[0]["status"]["podIP"]
    for name in ("allowed", "other"):
        story.kubectl.wait_for_ready("app=" + name, 1, SPACE, 90)


def shows_that_without_a_policy_all_of_the_mesh_may_call(story):
    for client in ("allowed", "other"):
        expect_in("hello-in-plaintext", _call(story, client).stdout, "the answer to %s" % client)


def shows_that_a_policy_is_in_force_when_its_status_counts_it(story):
    story.kubectl.apply(_policy("server", serviceAccounts=["server"], mode="strict", rules=[_allow({"serviceAccount": "allowed"})]))
    story.kubectl.wait("the policy to be in force", lambda: _in_force(story, "server", 1), 30)
    expect_in("hello-in-plaintext", _call(story, "allowed").stdout, "the answer to the allowed client")
    refused = _call(story, "other")
    expect(refused.returncode != 0 and "hello" not in refused.stdout, "the other client got %r" % refused.stdout)


def shows_that_a_change_reaches_the_sidecar(story):
    story.kubectl.apply(_policy("server", serviceAccounts=["server"], mode="strict",
                                rules=[_allow({"serviceAccount": "allowed"}, {"namespace": SPACE, "serviceAccount": "other"})]))
    story.kubectl.wait("the change to be in force", lambda: _in_force(story, "server", 2), 30)
    expect_in("hello-in-plaintext", _call(story, "other").stdout, "the answer to the other client")


def shows_that_what_is_not_valid_has_a_reason_and_changes_nothing(story):
    rule = {**_allow({"serviceAccount": "allowed"}), "networks": ["192.0.2.1/24"]}
    story.kubectl.apply(_policy("server", serviceAccounts=["server"], mode="strict", rules=[rule]))
    story.kubectl.wait("the policy to be refused", lambda: _status(story, "server").get("accepted") is False, 30)
    expect_in("192.0.2.1/24", _status(story, "server")["message"], "the reason")
    expect_in("hello-in-plaintext", _call(story, "other").stdout, "the answer to the other client")


def shows_that_two_modes_are_a_conflict_that_both_name(story):
    story.kubectl.apply(_policy("second", serviceAccounts=["allowed"], mode="strict"),
                        _policy("third", serviceAccounts=["allowed", "other"], mode="permissive"))
    story.kubectl.wait("the conflict", lambda: _status(story, "second").get("conflicts")
                       and _status(story, "third").get("conflicts"), 30)
    expect_in("policy second has the mode strict", _status(story, "third")["conflicts"][0], "the conflict")
    story.kubectl.run("-n", SPACE, "delete", "policies.handfast.dev", "third")
    story.kubectl.wait("the conflict to be over", lambda: "conflicts" not in _status(story, "second"), 30)
    story.kubectl.delete_namespace(SPACE)
