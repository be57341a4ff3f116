"""What a command refuses is stated once: no line of any program has two parts "expected" or two parts "fix"

    control [control plane]

Rows: none."""

import json
import os

from handfast_harness import Mesh, StoryFailure, expect, identity_of

DEADLINE_S = 480
PROGRAMS = ("handfast", "handfast-control", "handfast-sidecar", "handfast-init", "handfast-cni")
# Of the kinds of files that a command reads: settings, objects, keys, audit logs.
FILES = {"empty": "", "text": "no settings\n", "unknown.yaml": "color: blue\nmesh: {networks: [here]}\n",
         "missing.yaml": "mesh: {name: x}\n", "broken.yaml": "mesh: {networks: [\n",
         "object.yaml": "apiVersion: handfast.dev/v1alpha1\nkind: Policy\nmetadata: {name: a, namespace: b}\nspec: {mode: soft}\n",
         "kind.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}\n", "ca.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n"}
VALUES = ("", "nonsense", "-1", "spiffe://", "/nowhere", "127.0.0.1:9")
ACTING = ("run", "agent", "up", "down", "confirm", "uninstall", "wait")  # they serve, wait, or change the machine
SELF = identity_of("client")
CHECK = ("policy check", "--from", "plaintext", "--to", SELF, "--port", "80")


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), leaf_ttl="1h")
    story.control = story.mesh.control
    story.folder = os.path.join(story.control.folder, "bad")
    os.makedirs(os.path.join(story.folder, "folder"))
    for name, text in FILES.items():
        with open(os.path.join(story.folder, name), "w") as file:
            file.write(text)
    story.files = [os.path.join(story.folder, name) for name in (*FILES, "folder", "none")]


def twice(text):
    return [line for line in text.splitlines() if any(line.count(part) > 1 for part in ("expected: ", "fix: "))]


def _refuse_all(story, calls):
    """Runs them all, and reports every line at once. A program that serves is no bad input: it is ended, and is a failure."""
    wrong, num_refused = [], 0
    for words in calls:
        made = story.mesh.net.control.run(["timeout", "10", story.binary(words[0]), *words[1:]], check=False)
        expect(made.returncode not in (124, 134, 139), "%s: exit code %d" % (words, made.returncode))
        num_refused += "; fix: " in made.stdout + made.stderr
        wrong += ["%s: %s" % (" ".join(words), line) for line in twice(made.stdout + made.stderr)]
    print("    %d calls, %d refused" % (len(calls), num_refused))
    if wrong:
        raise StoryFailure("%d lines state a part twice:\n%s" % (len(wrong), "\n".join(wrong[:20])))
    return num_refused


def _table(story, program):
    return json.loads(story.mesh.net.control.run([story.binary(program), "--help", "--output", "json"]).stdout)


def shows_that_no_command_states_a_part_twice_about_its_arguments(story):
    """Each command of each program: without arguments, with a word too many, and with bad values of the flags that it names."""
    calls = []
    for program in PROGRAMS:
        table = _table(story, program)
        for command in table["commands"]:
            words = [program, *command["words"].split()]
            to = ["--socket", "/nowhere"] if "socket" in command["flags"] else []
            to += ["--admin", "127.0.0.1:9"] if "admin" in command["flags"] and not to else []
            calls += [[*words, "one", "two", "three", *to]]
            calls += [[*words, *to]] if command["words"] not in ACTING else []
            flags = [flag for flag in table["flags"] if flag["value"] and "--" + flag["name"] in command["arguments"]]
            calls += [[*words, "--" + flag["name"], value, *to] for flag in flags for value in VALUES]
    expect(_refuse_all(story, calls) > len(calls) / 2, "hardly any call was refused")


def shows_that_no_command_states_a_part_twice_about_a_file(story):
    calls = []
    for file in story.files:
        for words in (("policy lint",), CHECK, ("policy show", SELF), ("policy dry-run",), ("inject",), ("federation import", "other.test")):
            to = () if words[0] in ("policy dry-run", "inject") else ("--socket", story.control.socket)
            calls.append(["handfast", *words[0].split(), *words[1:], "--file", file, *to])
        calls += [["handfast", "ca", "import", file, "--socket", story.control.socket], ["handfast", "audit", "verify", file]]
        for words in (("run",), ("run", "--check"), ("keys",), ("backup", "/nowhere/x"), ("restore", "/nowhere/x")):
            calls.append(["handfast-control", *words, "--config", file])
        for words in (("run", "--check"), ("wait",), ("drain",), ("quit",), ("release",), ("upgrade",), ("svid", "--once")):
            calls.append(["handfast-sidecar", *words, "--config", file])
        calls.append(["handfast-cni", "agent", "--check", "--config", file])
    expect(_refuse_all(story, calls) > len(calls) / 2, "hardly any file was refused")


def shows_that_a_refusal_of_the_control_plane_states_no_part_twice(story):
    socket = ("--socket", story.control.socket)
    lines = ["token create --id nonsense", "token create --id " + SELF + " --ttl 99d", "token revoke 00", "ban spiffe://other.test/x",
             "ban nonsense", "unban " + SELF, "revoke xx", "revoke 00", "ca abort", "ca abort --bootstrap", "ca retire --bootstrap", "ca csr",
             "ca replace", "entry create a --id " + SELF + " --selector nonsense", "entry create A! --id x --selector unix:uid:1",
             "entry delete none", "entry show none", "entry release nonsense", "federation show other.test",
             "federation refresh other.test", "policy show spiffe://other.test/x", "revoke --intermediate"]
    expect(_refuse_all(story, [["handfast", *line.split(), *socket] for line in lines]) > len(lines) / 2, "hardly any was refused")
