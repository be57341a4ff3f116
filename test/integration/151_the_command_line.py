"""Every command of every program, and every page, against real peers: their output and exit codes.

    control [control plane] --- client [sidecar]

Rows: O1, O2, O6."""

import json
import re

from handfast_harness import Mesh, expect, expect_eq, expect_in, identity_of, wait_until

DEADLINE_S = 240
PROGRAMS = {"handfast": [], "handfast-control": ["--mesh.networks", "192.0.2.0/24"], "handfast-init": ["up"],
            "handfast-sidecar": ["--control.address=192.0.2.1:15012"]}
COMMON = {"check", "help", "output", "version"}
SIDECAR_PAGES = {"/certs": "identity", "/connections": "connections", "/tunnels": "tunnels",
                 "/why": "failures", "/check": "conditions", "/endpoints": "destinations"}


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), outsiders=("stranger",), leaf_ttl="1h")
    story.client = story.mesh.sidecar("client")


def _run(story, program, *words, check=False, host=None, uid=0):
    host = host or story.mesh.stranger
    return host.run([story.binary(program), *words], check=check, uid=uid)


def _help(story, program):
    return json.loads(_run(story, program, "--help", "--output", "json", check=True).stdout)


def finding_o6_all_programs_have_one_command_line(story):
    codes = set()
    for program, good in PROGRAMS.items():
        listed = _help(story, program)
        expect_eq(listed["program"], program, "the program's name")
        expect(COMMON <= {flag["name"] for flag in listed["flags"]}, "%s lacks a flag that all programs have" % program)
        codes.add(json.dumps(listed["exit_codes"]))
        text = _run(story, program, "--help", check=True).stdout
        for command in listed["commands"]:
            expect_in("\n  %s" % command["words"], text, "the help of " + program)
        if program != "handfast":
            expect_eq(_run(story, program, *good, "--check").returncode, 0, "%s --check" % program)
        versions = json.loads(_run(story, program, "--version", "--output=json", check=True).stdout)
        expect_in(program, versions, "the versions")
        expect(all(re.fullmatch(r"[\w+-]+", name) for name in versions), "not a name among %s" % list(versions))
        wrong = _run(story, program, "--color", "--output", "json")
        expect_eq(wrong.returncode, 64, "%s with a flag that it does not have" % program)
        expect_in("--color", " ".join(error["got"] for error in json.loads(wrong.stdout)["errors"]), "the errors")
        expect_in("see `%s --help`" % program, _run(story, program, "--color").stderr, "the errors as text")
    expect_eq(len(codes), 1, "tables of exit codes")


def finding_o1_every_command_of_a_program_is_in_its_help(story):
    for program in PROGRAMS:
        done = _run(story, program, "lift-the-ban")
        expect_eq(done.returncode, 64, "%s lift-the-ban" % program)
        listed = _help(story, program)
        flags = {flag["name"] for flag in listed["flags"]} | set(listed["settings"])
        for command in listed["commands"]:
            alone = _run(story, program, *command["words"].split(), "--help", check=True).stdout
            expect(alone.startswith("usage:\n  %s %s" % (program, command["words"])), "its help alone: %r" % alone[:200])
            expect_in(command["words"].split()[0], done.stderr, "the commands that %s names" % program)
            if " " in command["words"]:
                group = _run(story, program, command["words"].split()[0], "lift-the-ban", check=False)
                expect(group.returncode != 64 or command["words"] in group.stderr or "no further word" in group.stderr,
                       "%s is not named: %s" % (command["words"], group.stderr))
            for flag in re.findall(r"--([a-z][a-z.-]*)", command["arguments"] + " " + command["help"] + listed["about"]):
                expect_in(flag, flags, "flags of %s, which its own help names" % program)


def _cli(story, *words, check=True):
    return _run(story, "handfast", *words, "--socket", story.mesh.control.socket, host=story.mesh.control.host, check=check)


def finding_o2_each_command_to_the_control_plane_answers_in_both_forms(story):
    token = _cli(story, "token", "create", "--id", identity_of("other"), "--ttl=10m", "--network", "192.0.2.0/24")
    expect(re.fullmatch(r"hf1\.[\w-]+\.[\w-]+\.[\w-]+\n", token.stdout), "no token: %r" % token.stdout)
    listed = json.loads(_cli(story, "token", "create", "--id", identity_of("other"), "--output", "json").stdout)
    expect_eq(listed["id"], identity_of("other"), "the identity of the token")
    expect(re.search(r"audit: attested: \S+ from \S+, SVID until \d{4}-\d\d-\d\dT[\d:]{8}Z\n", story.mesh.control.log()),
           "the audit log has no readable time")
    status = _cli(story, "status").stdout
    expect_in(identity_of("client"), status, "status")
    expect(not status.startswith("{"), "the text form is JSON")
    expect_eq(json.loads(_cli(story, "status", "--output", "json").stdout)["trust_domain"], "cluster.local", "status")
    expect_in("banned; 0 attested", _cli(story, "ban", identity_of("bad")).stdout, "ban")
    expect_eq(json.loads(_cli(story, "ban", identity_of("bad"), "--output=json").stdout)["banned"], True, "ban")
    expect_eq(_cli(story, "ban", "not-an-id", check=False).returncode, 64, "exit code of what is no identity")
    refused = _cli(story, "token", "create", "--id", "spiffe://other.test/ns/a/sa/b", check=False)
    expect_eq(refused.returncode, 1, "exit code of a refusal")
    expect(re.fullmatch(r"handfast: [^;]*other.test[^;]*; expected: [^;]*; fix: .*\n", refused.stderr), "the refusal is %r" % refused.stderr)
    for words, error in ((["entry", "release", "192.0.2.77"], "no sidecar has claimed 192.0.2.77; expected: an address that a "
                          "sidecar has claimed; fix: see the addresses in `handfast status`"),
                         (["unban", identity_of("good")], "%s is not banned; expected: an identity that is banned; "
                          "fix: see `handfast ban list`" % identity_of("good"))):
        refused = _cli(story, *words, check=False)
        expect_eq((refused.returncode, refused.stdout, refused.stderr), (1, "", "handfast: %s\n" % error), "nothing was held")
    expect_eq(_cli(story, "entry", "release", "nonsense", check=False).returncode, 64, "no address")
    away = _run(story, "handfast", "status", "--socket", "/nowhere", "--output", "json")
    expect_eq((away.returncode, json.loads(away.stdout)["error"]), (69, "unavailable"), "no control plane")
    denied = story.mesh.control.host.run([story.binary("handfast"), "status", "--socket", story.mesh.control.socket],
                                         uid=65534, check=False)
    expect_eq(denied.returncode, 77, "another user")


def _ask(story, *words, check=True):
    return _run(story, "handfast", *words, host=story.mesh.client, check=check)


def finding_o2_each_page_and_each_command_to_a_sidecar(story):
    for page, key in SIDECAR_PAGES.items():
        expect_in(key, story.client.admin(page), "the page " + page)
    expect(story.client.admin("/config"), "the page /config is empty")
    expect(story.client.metrics(), "no metrics")
    expect_eq(story.client.probe()[0], 200, "ready")
    expect_eq(story.mesh.client.http("http://127.0.0.1:15020/healthz/live")[0], 200, "live")
    expect_in(identity_of("client"), _ask(story, "certs").stdout, "certs")
    expect(_ask(story, "certs").stdout.startswith("spiffe://"), "the text form of certs is JSON")
    expect_in("  certificate %s until " % identity_of("client"), _ask(story, "certs").stdout, "the SVID's line")
    expect_eq(json.loads(_ask(story, "certs", "--output", "json").stdout)["identity"]["id"], identity_of("client"), "certs")
    expect_eq(_ask(story, "why").stdout, "no failures\n", "why")
    expect_eq(json.loads(_ask(story, "why", "--output=json").stdout), {"failures": [], "num_left_out": 0}, "why")
    control = "http://%s:15014" % story.mesh.control.host.ipv4
    for page in ("/healthz/ready", "/healthz/live", "/metrics"):
        expect_eq(story.mesh.control.host.http(control + page)[0], 200, "the control plane's " + page)
    nowhere = _ask(story, "certs", "--admin", "127.0.0.1:9", check=False)
    expect_eq(nowhere.returncode, 69, "no sidecar")
    expect_eq(_ask(story, "certs", "--admin", "127.0.0.1", check=False).returncode, 64, "an address without a port")


def finding_o2_check_ends_with_1_when_something_is_degraded(story):
    well = _ask(story, "check", check=False)
    expect_eq((well.returncode, well.stdout.splitlines()[0]), (0, "ready"), "check: " + well.stdout)
    story.mesh.control.stop()
    wait_until("check to report that the control plane is away", lambda: _ask(story, "check", check=False).returncode == 1)
    found = _ask(story, "check", check=False).stdout
    expect_in("degraded", found, "the output of check")
    expect_in("control plane unreachable", found, "the output of check")
    expect_eq(json.loads(_ask(story, "check", "--output", "json", check=False).stdout)["ready"], True, "ready still")
    story.mesh.control.start()
    wait_until("check to succeed again", lambda: _ask(story, "check", check=False).returncode == 0, 30)


def finding_o6_each_command_of_the_sidecar_ends_with_the_documented_code(story):
    expect_eq(story.client.command("wait", "--timeout", "5s"), "ready\n", "wait")
    expect_eq(json.loads(story.client.command("wait", "--output=json")), {"answer": "ready"}, "wait")
    expect_in("releas", story.client.command("release"), "release")
    expect_eq(json.loads(story.client.command("drain", "--output", "json")), {"answer": "draining"}, "drain")
    late = story.mesh.client.run([story.binary("handfast-sidecar"), "wait", "--timeout=300ms", "--config",
                                  story.client.path], uid=1337, check=False)
    expect_eq(late.returncode, 1, "wait for a sidecar that drains")
    expect_in("the sidecar is not ready: draining; expected:", late.stderr, "why it is not ready")
    expect(story.client.command("quit") != "", "quit answers nothing")
    expect_eq(story.client.process.wait_for_exit(), 0, "exit code of the sidecar")
    gone = story.mesh.client.run([story.binary("handfast-sidecar"), "drain", "--config", story.client.path], uid=1337,
                                 check=False)
    expect_eq(gone.returncode, 69, "drain without a sidecar")
    expect_in("the admin socket %s does not exist" % story.client.settings["admin_socket"], gone.stderr, "drain")
    expect_in("pass the socket of its settings: --admin_socket PATH, or --config FILE", gone.stderr, "drain")
    lost = story.mesh.client.run([story.binary("handfast-sidecar"), "wait", "--timeout=300ms", "--config",
                                  story.client.path], uid=1337, check=False)
    expect_eq(lost.returncode, 1, "wait for a sidecar that does not run")
    expect_in("no sidecar answers at the metrics port, 127.0.0.1:15020", lost.stderr, "wait")
    expect_in("--ports.metrics PORT, or --config FILE", lost.stderr, "wait")
    hook = story.mesh.client.run([story.binary("handfast-sidecar"), "drain"], uid=1337, check=False)
    expect_eq(hook.returncode, 69, "drain by a preStop hook, without the settings file: " + hook.stderr)
    expect_in("/run/handfast/sidecar.sock", hook.stderr, "the socket that it used")
