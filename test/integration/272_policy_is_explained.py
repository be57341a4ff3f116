"""`handfast policy check` states what really happens, for each source and port: it asks the control plane, a file before it
is in force, and the sidecar itself; real connections have the same outcome. `policy list` and `policy show` name what is
in force, and where.

    friend [sidecar], foe [sidecar], other [sidecar], stranger (no sidecar) --> server: [sidecar] -> echo at four ports

Rows: none."""

import contextlib
import json
import os

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, identity_of, needs, wait_until

DEADLINE_S = 240
PORTS = (9000, 9001, 9002, 9003)
MODES = [{"port": 9001, "mode": "permissive"}, {"port": 9002, "mode": "off"}]
RULES = [{"name": "no-foe", "action": "deny", "sources": [{"id": identity_of("foe")}], "ports": [9000, 9001]},
         {"name": "friends", "sources": [{"id": identity_of("friend")}, {"id": identity_of("foe")}]},
         {"name": "near", "sources": [{"id": identity_of("other")}], "networks": ["203.0.113.0/24"], "ports": [9003]},
         {"name": "not-friend-later", "action": "deny", "dry_run": True, "sources": [{"id": identity_of("friend")}],
          "ports": [9003]}]


def _policy(rules):
    return {"default_mode": "strict",
            "workloads": [{"identity": identity_of("server"), "ports": MODES, "rules": rules},
                          {"identity_prefix": "spiffe://cluster.local/ns/default", "default_mode": "strict"},
                          {"identity": identity_of("unused"), "rules": [RULES[0]]}]}


def arrange(story):
    story.mesh = Mesh(story, hosts=("friend", "foe", "other", "server"), outsiders=("stranger",), leaf_ttl="1h",
                      policy=_policy(RULES))
    story.control, story.server = story.mesh.control, story.mesh.sidecar("server")
    for port in PORTS:
        story.own(StreamServer(story, story.mesh.server, port, "echo"))


def _sources(story):
    for name in ("friend", "foe", "other", "stranger"):
        yield name, "plaintext" if name == "stranger" else identity_of(name), story.mesh.net.hosts[name]


def _is_served(story, host, port):
    try:
        with host.connect(story.mesh.server.ipv4, port, uid=1000, timeout_s=8) as sock:
            sock.sendall(b"x")
            return sock.recv(1) == b"x"
    except (ConnectionResetError, ConnectionRefusedError, BrokenPipeError):
        return False


def _check(story, *words, ask=None):
    made = (ask or story.control.run)("policy", "check", *words, "--output", "json", check=False)
    expect(made.stdout.startswith("{"), "no JSON: %s %s" % (made.stdout, made.stderr))
    return made.returncode, json.loads(made.stdout)


def _ask_sidecar(story, *words, check=True):
    return story.mesh.server.run([story.binary("handfast"), *words], check=check)


def shows_that_the_explanation_is_what_happens(story):
    for name, source, host in _sources(story):
        for port in PORTS:
            words = ("--from", source, "--port", str(port), "--address", host.ipv4)
            code, shown = _check(story, *words, "--to", identity_of("server"))
            _, own = _check(story, *words, ask=lambda *all, check: _ask_sidecar(story, *all, check=check))
            expect_eq({key: own[key] for key in own}, {key: shown[key] for key in own}, "what the sidecar itself answers")
            is_served = _is_served(story, host, port)
            expect_eq(shown["outcome"] == "allowed", is_served, "%s to %d: %s" % (name, port, shown))
            expect_eq(code, 0 if is_served else 1, "the exit code")
            expect(shown["reason"] and shown["change"], "no reason: %s" % shown)


def shows_what_decided_and_what_would_change_it(story):
    def shown(source, port, *more):
        return _check(story, "--from", source, "--to", identity_of("server"), "--port", str(port), *more)[1]
    by_rule = shown(identity_of("foe"), 9000)
    expect_eq((by_rule["outcome"], by_rule["decided_by"], by_rule["rule"]), ("denied", "deny_rule", "no-foe"), "a deny")
    by_mode = shown("plaintext", 9000)
    expect_eq((by_mode["outcome"], by_mode["decided_by"], by_mode["mode"], by_mode["mode_of"]),
              ("plaintext_refused", "mode", "strict", "default"), "a mode")
    expect_eq(shown("plaintext", 9002)["mode_of"], "port", "a mode of a port")
    by_default = shown(identity_of("stranger"), 9001)
    expect_eq((by_default["outcome"], by_default["decided_by"]), ("denied", "default"), "a default")
    expect_in("friends", by_default["change"], "what would change it")
    dry_run = wait_until("the sidecar to confirm it", lambda: (
        now := shown(identity_of("friend"), 9003))["sidecars_in_force"] == 1 and now, 10)
    expect_eq(dry_run["dry_run"], {"rule": "not-friend-later", "outcome": "denied"}, "a dry run")
    expect_eq((dry_run["sidecars"], dry_run["sidecars_in_force"]), (1, 1), "sidecars")
    near = shown(identity_of("other"), 9003, "--address", "203.0.113.7")
    expect_eq((near["outcome"], near["rule"]), ("allowed", "near"), "a rule of a network")


def shows_that_an_address_is_demanded_where_a_rule_depends_on_it(story):
    for ask in (story.control.run, lambda *words, check: _ask_sidecar(story, *words, check=check)):
        to = ("--to", identity_of("server")) if ask == story.control.run else ()
        made = ask("policy", "check", "--from", identity_of("other"), "--port", "9003", *to, check=False)
        expect_eq(made.returncode, 64, "the exit code: " + made.stdout + made.stderr)
        expect_in("the rule near depends on where the source connects from", made.stderr, "the reason")
    made = story.control.run("policy", "check", "--port", "70000", "--to", "x", check=False)
    expect_eq(made.returncode, 64, "the exit code of a wrong question")
    for words in ("--from", "--to", "--port"):
        expect_in(words + ": ", made.stderr, "the errors")


def shows_that_an_identity_without_a_sidecar_is_named(story):
    absent = identity_of("serverr")
    ask = ("--from", identity_of("friend"), "--port", "9000", "--to")
    code, shown = _check(story, *ask, identity_of("server"))
    expect_eq((code, shown["notes"], shown["from_sidecars"]), (0, [], 1), "of two that are there")
    _, shown = _check(story, *ask, absent)
    expect_eq((len(shown["notes"]), shown["sidecars"]), (1, 0), "notes: %s" % shown)
    expect_in("no connected sidecar has the identity of --to, " + absent, shown["notes"][0], "the note")
    made = story.control.run("policy", "check", "--from", absent, "--port", "9000", "--to", identity_of("server"), check=False)
    expect_in("note:   no connected sidecar has the identity of --from, " + absent, made.stdout, "the text")


def shows_a_file_before_it_is_in_force(story):
    path = os.path.join(story.control.folder, "next.yaml")
    with open(path, "w") as file:
        json.dump({"trust_domain": "cluster.local", "mesh": {"networks": ["192.0.2.0/24"]},
                   "policy": _policy(RULES[1:])}, file)
    words = ("--from", identity_of("foe"), "--to", identity_of("server"), "--port", "9000")
    expect_eq(_check(story, *words)[1]["rule"], "no-foe", "now")
    code, shown = _check(story, *words, "--file", path)
    expect_eq((code, shown["outcome"], shown["rule"]), (0, "allowed", "friends"), "by the file")
    objects = os.path.join(story.control.folder, "policy.yaml")
    with open(objects, "w") as file:
        file.write("apiVersion: handfast.dev/v1alpha1\nkind: Policy\nmetadata: {name: cart, namespace: default}\n"
                   "spec:\n  serviceAccounts: [server]\n  mode: strict\n  rules:\n"
                   "  - {name: a, action: allow, sources: [{serviceAccount: friend}]}\n")
    code, shown = _check(story, *words, "--file", objects)
    expect_eq((code, shown["outcome"], shown["mode"]), (1, "denied", "strict"), "by an object")
    code, shown = _check(story, "--from", identity_of("friend"), *words[2:], "--file", objects)
    expect_eq((code, shown["rule"]), (0, "cart/a"), "by an object")
    with open(path, "w") as file:
        file.write("mesh: {networks: [192.0.2.0/24]}\npolicy: {default_mode: soft}\n")
    made = story.control.run("policy", "check", *words, "--file", path, check=False)
    expect_eq(made.returncode, 64, "the exit code of a file with errors")
    expect_in("policy.default_mode", made.stderr, "the error")


def _connect(story, name, port):
    sock = story.mesh.net.hosts[name].connect(story.mesh.server.ipv4, port, uid=1000, timeout_s=8)
    sock.sendall(b"x")
    expect_eq(sock.recv(1), b"x", "echo")
    return sock


def shows_which_open_connections_a_file_would_close(story):
    """The command line decides for what the sidecar counts; nothing is closed."""
    path = os.path.join(story.control.folder, "closes.yaml")
    rules = [{"name": "no-foe-at-all", "action": "deny", "sources": [{"id": identity_of("foe")}]}, RULES[1]]
    with open(path, "w") as file:
        json.dump({"trust_domain": "cluster.local", "mesh": {"networks": ["192.0.2.0/24"]}, "policy": {
            "default_mode": "strict", "workloads": [{"identity": identity_of("server"), "rules": rules}]}}, file)
    words = ("policy", "dry-run", "--file", path)
    with contextlib.ExitStack() as live:
        for name, port, num in (("friend", 9003, 3), ("foe", 9003, 2), ("stranger", 9002, 1)):
            for _ in range(num):
                live.enter_context(_connect(story, name, port))

        def shown():
            made = _ask_sidecar(story, *words, "--output", "json", check=False)
            return made.returncode, json.loads(made.stdout)
        code, found = wait_until("the former connections to be gone", lambda: shown()[1]["open"] == 6 and shown(), 10)
        expect_eq((code, found["would_close"], found["not_counted"], found["id"]), (1, 3, 0, identity_of("server")), "found")
        rows = sorted((row["from"] or "", row["port"], row["outcome"], row["rule"], row["connections"])
                      for row in found["closed"])
        expect_eq(rows, [("", 9002, "plaintext_refused", "", 1), (identity_of("foe"), 9003, "denied", "no-foe-at-all", 2)], "rows")
        text = _ask_sidecar(story, *words, check=False).stdout
        expect_in("the file would close 3 of 6 open inbound connections", text, "the text")
        expect_in("2 of %s to port 9003: denied by no-foe-at-all" % identity_of("foe"), text, "the text")


def shows_the_list_with_the_sidecars_that_have_it_in_force(story):
    listed = json.loads(story.control.run("policy", "list", "--output", "json").stdout)
    expect_eq(listed["default_mode"], "strict", "the default mode")
    expect_eq([(row["selector"], row["prefix"], row["rules"], row["sidecars"]) for row in listed["sections"]],
              [(identity_of("server"), False, 4, 1), ("spiffe://cluster.local/ns/default", True, 0, 4),
               (identity_of("unused"), False, 1, 0)], "the sections")
    expect_eq(listed["sections"][0]["dry_run_rules"], 1, "dry runs")
    wait_until("all to have it in force", lambda: json.loads(story.control.run(
        "policy", "list", "--output", "json").stdout)["sections"][1]["sidecars_in_force"] == 4)
    expect_in("spiffe://cluster.local/ns/default and below", story.control.run("policy", "list").stdout, "the text")


def shows_the_rules_of_a_workload_and_of_a_sidecar(story):
    shown = json.loads(story.control.run("policy", "show", identity_of("server"), "--output", "json").stdout)
    own = json.loads(_ask_sidecar(story, "policy", "show", "--output", "json").stdout)["policy"]
    expect_eq({key: shown[key] for key in own}, own, "what the sidecar has in force")
    expect_eq([rule["name"] for rule in own["rules"]], [rule["name"] for rule in RULES], "the rules")
    typo = story.control.run("policy", "show", identity_of("typo")).stdout
    expect_in("0 rules; without an allow rule the whole trust domain is allowed\n", typo, "of a workload that there is not")
    expect_in("in force at 0 of 0 connected sidecars of the workload: see `handfast status`, and the spelling\n", typo, "of it")
    for text in (story.control.run("policy", "show", identity_of("server")).stdout,
                 _ask_sidecar(story, "policy", "show").stdout):
        for part in ("mode strict", "port 9002: off", "deny  no-foe: from id " + identity_of("foe"),
                     "deny  not-friend-later (dry run)", "in 203.0.113.0/24; to port 9003"):
            expect_in(part, text, "the text")


def shows_that_a_question_that_is_none_is_refused(story):
    for query in ("x", "from=plaintext", "from=plaintext&port=99999999999", "from=spiffe://a/../b&port=80", "port=80",
                  "from=plaintext&port=80&address=1.2.3", "&&==&", "from=" + "a" * 900 + "&port=80"):
        made = story.mesh.server.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                                      "http://127.0.0.1:15000/policy?" + query])
        expect_eq(made.stdout, "400", "the status for " + query)


# What is wrong, and the kind of warning that names it.
FAULTS = [({"name": "all-of-them", "action": "deny", "sources": [{"id_prefix": "spiffe://cluster.local/ns"}],
            "ports": [7000]}, None),
          ({"name": "one-of-them", "sources": [{"id": identity_of("friend")}], "ports": [7000]}, "unreachable"),
          ({"name": "wide", "sources": [{"namespace": "cluster.local/default"}], "ports": [7001]}, None),
          ({"name": "narrow", "sources": [{"id": identity_of("foe")}], "ports": [7001]}, "shadowed"),
          ({"name": "typo", "sources": [{"trust_domain": "cluster.lokal"}], "ports": [7002]}, "empty"),
          ({"name": "probes", "unauthenticated": True, "ports": [7003]}, "unreachable")]


def _lint(story, *words):
    made = story.control.run("policy", "lint", "--output", "json", *words, check=False)
    return made.returncode, [(row["kind"], row["detail"]) for row in json.loads(made.stdout)["warnings"]]


def _expect_faults(rows):
    wanted = [(kind, rule["name"]) for rule, kind in FAULTS if kind]
    expect_eq([kind for kind, _ in rows], [kind for kind, _ in wanted], "kinds of warnings: %s" % rows)
    for (_, name), (_, detail) in zip(wanted, rows):
        expect_in(" %s " % name, detail, "the warning")


def shows_warnings_about_rules_when_they_are_loaded(story):
    expect_eq(_lint(story), (1, [("no_workload", "the section selects no workload")]), "the settings")
    workloads = [{"identity": identity_of("server"), "default_mode": "strict", "rules": [rule for rule, _ in FAULTS]}]
    path = os.path.join(story.control.folder, "faults.yaml")
    with open(path, "w") as file:
        json.dump({"trust_domain": "cluster.local", "mesh": {"networks": ["192.0.2.0/24"]},
                   "policy": {"workloads": workloads}}, file)
    code, rows = _lint(story, "--file", path)
    expect_eq(code, 1, "the exit code")
    _expect_faults(rows)
    story.control.reload({"policy": {"workloads": workloads}})
    for rule, kind in FAULTS:
        if kind:
            story.control.process.wait_for_log(" %s " % rule["name"])
            story.server.process.wait_for_log(" %s " % rule["name"])
    _expect_faults(_lint(story)[1])
    expect_eq(story.control.metrics()["handfast_control_policy_warnings"], 4, "the metric")
    checked = _ask_sidecar(story, "check")  # warnings alone are no failure
    expect_in("warning   policy: the allow rule one-of-them can never apply: the deny rule all-of-them covers all of it",
              checked.stdout, "the sidecar's check")
    story.control.reload({"policy": _policy(RULES[1:])})
    wait_until("no warnings", lambda: "warning" not in _ask_sidecar(story, "check").stdout, 10)


def shows_warnings_about_objects_of_a_cluster(story):
    path = os.path.join(story.control.folder, "objects.yaml")
    with open(path, "w") as file:
        file.write("apiVersion: handfast.dev/v1alpha1\nkind: Policy\nmetadata: {name: open, namespace: shop}\n"
                   "spec: {serviceAccounts: [db], rules: [{name: a, action: allow, sources: [{serviceAccount: web}]}]}\n"
                   "---\napiVersion: handfast.dev/v1alpha1\nkind: Policy\nmetadata: {name: shut, namespace: shop}\n"
                   "spec: {rules: [{name: all, action: deny}]}\n")
    code, rows = _lint(story, "--file", path)
    expect_eq((code, [kind for kind, _ in rows]), (1, ["unreachable"]), "the exit code and the warnings")
    expect_in("open/a", rows[0][1], "the warning")
    expect_in("shut/all", rows[0][1], "the warning")


def _dry_runs(story):
    rows = json.loads(_ask_sidecar(story, "policy", "dry-run", "--output", "json").stdout)["dry_runs"]
    return {row["rule"]: row for row in rows}


def shows_what_a_dry_run_would_deny(story):
    before = story.server.metrics().get('handfast_policy_dry_run_total{outcome="denied"}', 0)
    story.control.reload({"policy": _policy(RULES[1:3])})
    wait_until("no dry run", lambda: not _dry_runs(story))
    expect_in("no dry-run rules", _ask_sidecar(story, "policy", "dry-run").stdout, "the text")
    rules = RULES[1:3] + [{"name": "not-friends", "action": "deny", "dry_run": True, "sources": [{"id": identity_of("friend")}],
                           "ports": [9001, 9003]},
                          {"name": "then-others", "dry_run": True, "sources": [{"id": identity_of("other")}], "ports": [9002]},
                          {"name": "never", "action": "deny", "dry_run": True, "sources": [{"id": identity_of("other")}],
                           "ports": [1]}]
    with _connect(story, "friend", 9003) as live:
        story.control.reload({"policy": _policy(rules)})
        wait_until("the open connection to be counted", lambda: _dry_runs(story).get("not-friends", {}).get("open") == 1, 10)
        live.sendall(b"y")
        expect_eq(live.recv(1), b"y", "echo of the connection that it would close")
        _connect(story, "friend", 9001).close()
        expect(not _is_served(story, story.mesh.other, 9002), "a dry run allowed a connection")
        story.control.reload({"policy": dict(_policy(rules), default_mode="permissive")})  # counts none of them again
        rows = wait_until("a connection to be counted", lambda: "last" in _dry_runs(story)["then-others"] and _dry_runs(story))
    expect_eq([rows["not-friends"][key] for key in ("denied", "open", "allowed")], [2, 1, 0], "a deny: %s" % rows)
    expect_eq((rows["not-friends"]["last"]["from"], rows["not-friends"]["last"]["port"]), (identity_of("friend"), 9001), "the last")
    expect_eq([rows["then-others"][key] for key in ("denied", "open", "allowed")], [0, 0, 1], "an allow: %s" % rows)
    expect_eq(rows["never"]["denied"], 0, "a rule that matches none")
    metrics = story.server.metrics()
    expect_eq(metrics['handfast_policy_dry_run_total{outcome="denied"}'] - before, 2, "the metric")
    expect(metrics['handfast_policy_dry_run_total{outcome="allowed"}'] >= 1, "the metric")
    text = _ask_sidecar(story, "policy", "dry-run").stdout
    expect_in("not-friends: would deny 2 connections, of which 1 were open", text, "the text")
    expect_in("%s at %s:" % (identity_of("friend"), story.mesh.friend.ipv4), text, "the text")


@needs(shows_that_the_explanation_is_what_happens)
def shows_that_a_sidecars_own_settings_count(story):
    story.server.reload({"inbound": {"ports": [{"port": 9002, "mode": "strict"}]}})
    words = ("--from", "plaintext", "--port", "9002")
    wait_until("the sidecar to be stricter", lambda: _check(
        story, *words, ask=lambda *all, check: _ask_sidecar(story, *all, check=check))[1]["mode"] == "strict", 10)
    expect_eq(_check(story, *words, "--to", identity_of("server"))[1]["mode"], "off", "the control plane's")
