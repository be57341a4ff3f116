"""Policies of a namespace: who may call whom by objects, with a status that counts the sidecars that have them in force.

    allowed, other (meshed) -> app, whose Policy names the first    kubectl -> Policy -> control plane -> sidecar of app"""

import json

from handfast_harness import expect, expect_eq, expect_in
from kube_cluster import command_line, install, shared, workloads

DEADLINE_S = 420
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
    story.address = story.kubectl.wait_for_ready("app=server", 1, SPACE)[0]["status"]["podIP"]
    for name in ("allowed", "other"):
        story.kubectl.wait_for_ready("app=" + name, 1, SPACE)


def shows_that_without_a_policy_all_of_the_mesh_may_call(story):
    for client in ("allowed", "other"):
        expect_in("hello-in-plaintext", _call(story, client).stdout, "the answer to %s" % client)


def shows_that_a_policy_is_in_force_when_its_status_counts_it(story):
    story.kubectl.apply(_policy("server", serviceAccounts=["server"], mode="strict", rules=[_allow({"serviceAccount": "allowed"})]))
    story.kubectl.wait("the policy to be in force", lambda: _in_force(story, "server", 1))
    expect_in("hello-in-plaintext", _call(story, "allowed").stdout, "the answer to the allowed client")
    refused = _call(story, "other")
    expect(refused.returncode != 0 and "hello" not in refused.stdout, "the other client got %r" % refused.stdout)


def shows_that_a_change_reaches_the_sidecar(story):
    story.kubectl.apply(_policy("server", serviceAccounts=["server"], mode="strict",
                                rules=[_allow({"serviceAccount": "allowed"}, {"namespace": SPACE, "serviceAccount": "other"})]))
    story.kubectl.wait("the change to be in force", lambda: _in_force(story, "server", 2))
    expect_in("hello-in-plaintext", _call(story, "other").stdout, "the answer to the other client")


def shows_that_what_is_not_valid_has_a_reason_and_changes_nothing(story):
    rule = {**_allow({"serviceAccount": "allowed"}), "networks": ["192.0.2.1/24"]}
    story.kubectl.apply(_policy("server", serviceAccounts=["server"], mode="strict", rules=[rule]))
    story.kubectl.wait("the policy to be refused", lambda: _status(story, "server").get("accepted") is False)
    expect_in("192.0.2.1/24", _status(story, "server")["message"], "the reason")
    expect_in("hello-in-plaintext", _call(story, "other").stdout, "the answer to the other client")


def _handfast(story, *words):
    done = command_line.run(story, *words, "--output", "json")
    return done.returncode, json.loads(done.stdout or done.stderr)


def shows_that_the_command_line_lists_them_with_their_sidecars(story):
    story.kubectl.apply(_policy("server", serviceAccounts=["server"], mode="strict", rules=[_allow({"serviceAccount": "allowed"})]))
    story.kubectl.wait("the policy to be in force", lambda: _in_force(story, "server", 4))
    _, listed = _handfast(story, "policy", "list")
    row, = [row for row in listed["sections"] if row["object"] == SPACE + "/server"]
    expect_eq({key: row[key] for key in ("source", "accounts", "mode", "rules", "sidecars", "sidecars_in_force", "accepted")},
              {"source": "object", "accounts": ["server"], "mode": "strict", "rules": 1, "sidecars": 1, "sidecars_in_force": 1,
               "accepted": True}, "the row")
    expect_in("/ns/%s/sa" % SPACE, row["selector"], "whom it is for")


def shows_warnings_in_the_status_and_in_the_check(story):
    """A deny that covers an allow, and a trust domain that no one has."""
    story.kubectl.apply(_policy("odd", serviceAccounts=["other"], rules=[
        {"name": "shut", "action": "deny", "sources": [{"namespace": SPACE}]}, _allow({"serviceAccount": "allowed"}),
        {"name": "typo", "action": "allow", "sources": [{"trustDomain": "cluster.lokal"}]}]))
    warnings = story.kubectl.wait("warnings", lambda: _status(story, "odd").get("warnings"))
    expect_eq(len(warnings), 2, "the warnings: %s" % warnings)
    expect_in("odd/callers can never apply", warnings[0], "the first")
    expect_in("odd/typo", warnings[1], "the second")

    def lint():
        """The replica that answers may know of it later than the one that wrote the status."""
        code, linted = _handfast(story, "policy", "lint")
        mine = [row for row in linted.get("warnings", []) if row["selector"] == "policy %s/odd" % SPACE]
        return mine and (code, [row["kind"] for row in mine])
    expect_eq(story.kubectl.wait("warnings of lint", lint, 30), (1, ["unreachable", "empty"]), "what lint lists")
    _, rows = command_line.check(story)
    expect(any("%s/odd: " % SPACE in row.get("got", "") for row in rows["policy"]), "the check: %s" % rows["policy"])
    story.kubectl.run("-n", SPACE, "delete", "policies.handfast.dev", "odd")


def shows_that_a_member_that_is_not_known_is_not_lost_in_silence(story):
    """By default kubectl has it refused. Where the API server drops it, the status has a warning."""
    text = json.dumps(_policy("server", serviceAccounts=["server"], mode="strict",
                              rules=[{**_allow({"serviceAccount": "allowed"}), "source": []}]))

    def apply(*flags):
        return story.kubectl.run("apply", "-f", "-", *flags, text=text, check=False)
    for flags in ((), ("--server-side", "--force-conflicts")):
        refused = apply(*flags)
        expect(refused.returncode != 0, "it was applied: " + refused.stdout)
        expect_in("source", refused.stderr, "the refusal")
    expect_in('unknown field "spec.rules[0].source"', apply("--validate=warn").stderr, "the warning")
    silent = apply("--validate=false")
    expect_eq((silent.returncode, silent.stderr), (0, ""), "what kubectl prints without validation")
    warnings = story.kubectl.wait("the warning", lambda: _status(story, "server").get("warnings"))
    expect_in("spec.rules[0] has the member 'source' as it was applied: the API server has dropped it", warnings[0], "the warning")
    path = story.log_path("policy")
    with open(path, "w") as file:
        file.write(text)
    code, failure = _handfast(story, "policy", "lint", "--file", path)
    expect(code not in (0, 1) and "'source'" in json.dumps(failure), "what lint has for the file: %s" % failure)
    story.kubectl.apply(_policy("server", serviceAccounts=["server"], mode="strict", rules=[_allow({"serviceAccount": "allowed"})]))
    story.kubectl.wait("the warning to be over", lambda: "warnings" not in _status(story, "server"))


def shows_which_connections_a_policy_would_close_before_it_is_applied(story):
    path = story.log_path("next")
    with open(path, "w") as file:
        json.dump(_policy("server", serviceAccounts=["server"], rules=[{"name": "shut", "action": "deny"}]), file)
    url = "telnet://%s:%u" % (story.address, workloads.PORT)
    story.kubectl.run("-n", SPACE, "exec", "allowed", "-c", "app", "--", "sh", "-c",
                      "(sleep 90 | curl -sS --max-time 90 %s) >/dev/null 2>&1 &" % url)  # duration: of the open connection
    found = story.kubectl.wait("the connection to be found", lambda: (
        lambda made: made[1].get("would_close") == 1 and made)(_handfast(
            story, "policy", "dry-run", "pod/server", "-n", SPACE, "--file", path)), 60)
    expect_eq(found[0], 1, "the exit code")
    expect_in("/ns/%s/sa/allowed" % SPACE, found[1]["closed"][0]["from"], "whose it is")


def shows_that_two_modes_are_a_conflict_that_both_name(story):
    story.kubectl.apply(_policy("second", serviceAccounts=["allowed"], mode="strict"),
                        _policy("third", serviceAccounts=["allowed", "other"], mode="permissive"))
    story.kubectl.wait("the conflict", lambda: _status(story, "second").get("conflicts")
                       and _status(story, "third").get("conflicts"))
    expect_in("policy second has the mode strict", _status(story, "third")["conflicts"][0], "the conflict")
    story.kubectl.run("-n", SPACE, "delete", "policies.handfast.dev", "third")
    story.kubectl.wait("the conflict to be over", lambda: "conflicts" not in _status(story, "second"))
    story.kubectl.delete_namespace(SPACE)
