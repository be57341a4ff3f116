"""Every exit code of the table occurs, each from the real other side: a control plane, a sidecar, a file, the kernel.

    control [control plane] --- client [sidecar]

Rows: none."""

import json
import os
import re

from handfast_harness import Mesh, StoryFailure, expect, expect_eq, expect_in, identity_of

DEADLINE_S = 300


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), leaf_ttl="1h")
    story.control = story.mesh.control


def _exit(story, *words, uid=0, socket=None):
    """The exit code with text output; with JSON it must be the same."""
    is_of_control = words[0] not in ("certs", "completion") and "dry-run" not in words
    argv = [story.binary("handfast"), *words, *(("--socket", socket or story.control.socket) if is_of_control else ())]
    text = story.mesh.net.control.run(argv, check=False, uid=uid)
    shown = story.mesh.net.control.run(argv + ["--output", "json"], check=False, uid=uid)
    expect_eq(shown.returncode, text.returncode, "the exit code with JSON of %s: %s" % (words, text.stderr))
    if text.returncode != 0:
        json.loads(shown.stdout)
    return text.returncode


def _file(story, name, text):
    path = os.path.join(story.control.folder, name)
    with open(path, "w") as file:
        file.write(text)
    return path


CHECK = ("policy", "check", "--from", "plaintext", "--to", identity_of("client"), "--port", "80")


def shows_that_every_code_of_the_table_occurs(story):
    seen = {}

    def expect_exit(code, *words, **more):
        expect_eq(_exit(story, *words, **more), code, "the exit code of %s" % (words,))
        seen.setdefault(code, words)

    for words in (("status",), ("token", "list"), ("ban", "list"), ("ca", "status"), ("settings",), ("policy", "list"), CHECK,
                  ("policy", "lint"), ("policy", "show", identity_of("client"))):
        expect_exit(0, *words)
    strict = _file(story, "strict.yaml", "mesh: {networks: [192.0.2.0/24]}\npolicy: {default_mode: strict}\n")
    expect_exit(1, *CHECK, "--file", strict)
    expect_exit(1, "unban", identity_of("good"))
    expect_exit(1, "entry", "release", "192.0.2.77")
    expect_exit(1, "ca", "abort")
    expect_exit(64, "policy", "check")
    expect_exit(64, "status", "--interval")
    expect_exit(64, "completion", "csh")
    for words in (("ban", "foo"), ("unban", "foo"), ("token", "create", "--id", "foo"), ("policy", "show", "spiffe://"),
                  ("entry", "create", "one", "--id", "foo", "--selector", "unix:uid:1")):
        expect_exit(64, *words)
    expect_exit(1, "federation", "show", "other.test")
    expect_exit(64, *CHECK, "--file", _file(story, "wrong.yaml", "mesh: {networks: []}\n"))
    for flags in (("foo", "ab" * 32), ("192.0.2.1:15012", "abc"), ("192.0.2.1:15012", "xy" * 32)):
        made = story.mesh.net.control.run([story.binary("handfast"), "inject", "--file", "/dev/null", "--control-address", flags[0],
                                           "--root-sha256", flags[1]], check=False)
        expect_eq(made.returncode, 64, "inject for %s, which no sidecar accepts: %s" % (flags, made.stderr))
    expect_exit(65, *CHECK, "--file", _file(story, "object.yaml", "apiVersion: handfast.dev/v1alpha1\nkind: Policy\n"
                                            "metadata: {name: a, namespace: b}\nspec: {mode: soft}\n"))
    for words in (("status",), ("policy", "list"), ("ca", "status"), CHECK):
        expect_exit(69, *words, socket="/nowhere")
    expect_exit(69, "certs", "--admin", "127.0.0.1:9")
    expect_exit(69, "policy", "dry-run", "--admin", "127.0.0.1:9")
    for words in (("status",), ("policy", "list"), ("token", "list")):
        expect_exit(77, *words, uid=65534)
    # 70 is what the kernel refuses: no process may be started for --watch.
    limited = story.mesh.net.control.run(["prlimit", "--nproc=1:1", story.binary("handfast"), "status", "--watch", "--socket",
                                          story.control.socket], check=False, uid=65534)
    expect_eq(limited.returncode, 70, "the exit code where no process may be started: " + limited.stdout + limited.stderr)
    seen[70] = "--watch"
    listed = json.loads(story.control.run("--help", "--output", "json").stdout)["exit_codes"]
    expect_eq(sorted(seen), sorted(int(code) for code in listed), "the codes that occurred: %s" % seen)


SELF = identity_of("client")
# One call of each command of the table; the exit code is that of the command, the output is JSON either way.
CALLS = [("token create", "--id", SELF), ("token list",), ("token revoke", "0" * 32), ("status",), ("settings",),
         ("ban", identity_of("foe")), ("ban list",), ("unban", identity_of("foe")), ("revoke", "00" * 16), ("ca status",),
         ("ca csr",), ("ca crl",), ("ca import", "/nowhere"), ("ca abort",), ("ca retire", "--bootstrap"), ("ca rotate", "--bootstrap"),
         ("ca rotate",), ("ca replace", "--compromised"), CHECK, ("policy show", SELF), ("policy dry-run",), ("policy lint",),
         ("policy list",), ("federation list",), ("federation show", "other.test"), ("federation refresh", "other.test"),
         ("federation import", "other.test", "--file", "/nowhere"), ("federation bundle",), ("audit verify", "AUDIT"),
         ("entry create", "one", "--id", SELF, "--selector", "unix:uid:4711"), ("entry list",), ("entry show", "one"),
         ("entry delete", "one"), ("entry release", "192.0.2.77"), ("certs",), ("check",), ("endpoints",), ("why",), ("connections",), ("tunnels",), ("config",),
         ("inject", "--file", "/nowhere")]


def shows_that_every_command_of_the_table_answers_in_json(story):
    audit = os.path.join(story.control.state, "store", "audit.log")
    codes = {}
    for words in CALLS:
        words = words[0].split() + [audit if word == "AUDIT" else word for word in words[1:]]
        host = story.mesh.client if words[0] in ("certs", "why", "check", "endpoints", "connections", "tunnels", "config") or "dry-run" in words else story.mesh.net.control
        to = [] if host is story.mesh.client or words[0] in ("audit", "inject") else ["--socket", story.control.socket]
        made = host.run([story.binary("handfast"), *words, *to, "--output", "json"], check=False)
        try:
            json.loads(made.stdout or made.stderr)
        except ValueError:
            raise StoryFailure("%s prints no JSON: %r %r" % (words, made.stdout[-300:], made.stderr[-300:])) from None
        codes[" ".join(words[:2])] = made.returncode
    print("    exit codes: %s" % codes)
    table = {row["words"] for row in json.loads(story.control.run("--help", "--output", "json").stdout)["commands"]}
    called = {max((row for row in table if (" ".join(words) + " ").startswith(row + " ")), key=len) for words in CALLS}
    expect_eq(table - called, {"completion", "completion values"}, "commands that were not called")


def shows_that_output_that_is_lost_is_no_success(story):
    """A full disk behind the standard output: a script that goes on would have half a list, or none."""
    socket, config = ("--socket", story.control.socket), ("--config", story.mesh.sidecar("client").path)
    programs = ("handfast", "handfast-control", "handfast-sidecar", "handfast-init", "handfast-cni")
    calls = [(story.mesh.net.control, (name, *words)) for name in programs for words in (("--help",), ("--version", "--output", "json"))]
    calls += [(story.mesh.net.control, ("handfast", *words, *more, *socket)) for more in ((), ("--output", "json"))
              for words in (("status",), ("token", "list"), ("policy", "list"), ("ca", "status"), ("ban", "list"), ("settings",))]
    calls += [(story.mesh.net.control, ("handfast", "status", "--watch", *socket)),
              (story.mesh.net.control, ("handfast", "completion", "bash")),
              (story.mesh.client, ("handfast", "endpoints")), (story.mesh.client, ("handfast-sidecar", "--keys")),
              (story.mesh.client, ("handfast-sidecar", "wait", *config))]
    for host, (name, *words) in calls:
        shell = ["sh", "-c", 'exec "$@" >"$OUTPUT"', "sh", story.binary(name), *words]
        lost = host.run(["env", "OUTPUT=/dev/full", *shell], check=False)
        expect_eq(lost.returncode, 69, "the exit code of %s %s: %s" % (name, words, lost.stderr))
        expect_in("cannot write to the standard output", lost.stderr, "the reason")
        if "--watch" not in words:
            expect_eq(host.run(["env", "OUTPUT=/dev/null", *shell], check=False).returncode, 0, "%s %s" % (name, words))


def shows_that_the_end_of_an_audit_log_cannot_go_unseen(story):
    """The control plane's own log has a mark of the last line, so who cuts the file is found by who kept that log."""
    story.control.stop()
    mark = re.findall(r"the audit log ends at (\d+:[0-9a-f]{64})", story.control.process.log())[-1]
    path = os.path.join(story.control.state, "store", "audit.log")

    def verify(*words):
        return story.mesh.net.control.run([story.binary("handfast"), "audit", "verify", path, *words], check=False)
    expect_eq(verify("--known", mark).returncode, 0, "the exit code of the whole file")
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "r+b") as file:
        file.truncate(content[:-1].rindex(b"\n") + 1)
    expect_eq(verify().returncode, 0, "the exit code of a cut file, where no mark is known")
    cut = verify("--known", mark)
    expect_eq(cut.returncode, 65, "the exit code of a cut file")
    expect_in("its end is missing", cut.stderr, "the failure")
    story.control.start()


def shows_that_inject_reads_all_of_json_and_loses_no_document(story):
    own = ("--control-address", "192.0.2.1:15012", "--root-sha256", "ab" * 32, "--sidecar-image", "s", "--init-image", "i")

    def inject(text):
        argv = [story.binary("handfast"), "inject", "--file", _file(story, "objects", text), *own, "--output", "json"]
        return story.mesh.net.control.run(argv, check=False)
    objects = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"face": "\U0001f600", "number": "123"}}
    as_yaml = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: x}\ndata: {face: \U0001f600, number: !!str 123}\n"
    for text in (json.dumps(objects), as_yaml):
        made = inject(text)
        expect_eq(made.returncode, 0, "exit code of %s: %s" % (text, made.stderr))
        expect_eq(json.loads(made.stdout)["items"], [objects], "what is made of %s" % text)
    for text in ("just text\n", as_yaml + "---\n- a\n", "[1]", "a: !!int x\n", "a: !own x\n"):
        made = inject(text)
        expect(made.returncode != 0, "%r is taken" % text)
        expect_in("line ", made.stdout + made.stderr, "the failure of %r" % text)
    for text in ("", "# a comment\n---\n"):
        made = inject(text)
        expect_eq(made.returncode, 65, "exit code of a file without an object")
        expect_in("has no object", made.stdout + made.stderr, "the failure of %r" % text)


def shows_that_a_control_plane_that_cannot_start_ends_with_a_reason(story):
    folder = story.control.folder
    for name in ("socket", "other"):
        os.mkdir(os.path.join(folder, name))
    config = _file(story, "roots.yaml", "mesh: {networks: [192.0.2.0/24]}\nstate_dir: %s/state\noperator_socket: %s/socket/s\n"
                   "identity: {other_roots_file: %s/socket/none}\n" % (folder + "/other", folder, folder))
    done = story.mesh.net.client.run([story.binary("handfast-control"), "--config", config], check=False)
    expect_eq(done.returncode, 69, "the exit code without the file of roots (%s)" % done.stderr)
    expect_in("identity.other_roots_file cannot be used: cannot open %s/socket/none" % folder, done.stderr, "the log")


def shows_that_no_program_is_silent_about_a_wrong_start(story):
    """Each program without arguments, and the processes that the control plane starts by itself, started by a person."""
    for words in (["handfast"], ["handfast-sidecar"], ["handfast-control"], ["handfast-init"], ["handfast-cni"], ["handfast-pkcs11"],
                  ["handfast-pkcs11", "--help"], ["handfast-control", "signer"], ["handfast-control", "ca-command"]):
        made = story.mesh.net.control.run([story.binary(words[0]), *words[1:]], check=False)
        expect_eq(made.returncode, 64, "the exit code of %s: %s" % (words, made.stderr))
        for part in ("; expected: ", "; fix: "):
            expect_in(part, made.stdout + made.stderr, "what %s prints" % words)


def shows_that_a_failure_names_the_three_clauses(story):
    for words, socket in (((*CHECK, "--file", "/nowhere"), None), (("status",), "/nowhere")):
        made = story.mesh.net.control.run([story.binary("handfast"), *words, "--socket", socket or story.control.socket],
                                          check=False)
        for part in ("handfast: ", "; expected: ", "; fix: "):
            expect_in(part, made.stderr, "the failure of %s" % (words,))
