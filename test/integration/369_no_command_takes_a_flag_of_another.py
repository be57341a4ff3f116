"""Each command of each program takes the flags that its help has, and refuses every other one before it does anything.

    (no host: command lines alone)"""

import concurrent.futures
import json
import subprocess

from handfast_harness import expect, expect_eq, expect_in

PROGRAMS = ("handfast", "handfast-control", "handfast-sidecar", "handfast-init", "handfast-cni")
COMMON = {"check", "completion", "help", "keys", "man", "output", "version"}
FOUND = ("ca rotate --compromised", "entry create n1 --id spiffe://a/b --selector unix:uid:5 --network 192.0.2.0/24",
         "token create --id spiffe://a/b --selector unix:uid:5", "revoke 1234 --intermediate", "status --compromised",
         "ban list --ttl 1h", "ca status --file /x", "status --interval 1s", "certs pod/x --admin 127.0.0.1:1",
         "check pod/x --pre", "status pod/x --socket /nowhere", "policy check pod/x --from plaintext --port 1 --to spiffe://a/b")
PARTS = {"interval": "--watch"}
DEADLINE_S = 480


def arrange(story):
    story.help = {name: json.loads(_run(story, name, "--help", "--output", "json").stdout) for name in PROGRAMS}


def _run(story, *argv):
    return subprocess.run([story.binary(argv[0]), *argv[1:]], capture_output=True, text=True, timeout=30, check=False)


def _given(flag):
    return ["--" + flag["name"]] + (["x"] if flag["value"] else [])


def _each(story):
    """(program, command, flag, whether help has the flag at the command)"""
    for program, table in story.help.items():
        for command in table["commands"]:
            for flag in table["flags"]:
                if flag["name"] not in COMMON:
                    yield program, command["words"], flag, flag["name"] in command["flags"]


def _in_parallel(calls):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return sum(pool.map(lambda call: call() or 1, calls))


def shows_that_a_flag_of_another_command_is_refused(story):
    def refused(program, words, flag):
        done = _run(story, program, *words.split(), *_given(flag))
        what = "%s %s --%s: %s" % (program, words, flag["name"], done.stderr)
        expect_eq(done.returncode, 64, "exit code of " + what)
        expect_in("--%s: the command %s does not take it; expected: a command that takes it: " % (flag["name"], words), done.stderr, what)
    num = _in_parallel([lambda row=row: refused(*row[:3]) for row in _each(story) if not row[3]])
    print("    %d refused" % num)
    expect(num > 500, "hardly any flag is another command's")


def shows_that_a_flag_of_the_commands_own_is_accepted(story):
    def accepted(program, words, flag):
        more = [PARTS[flag["name"]]] if flag["name"] in PARTS else []
        done = _run(story, program, *words.split(), *_given(flag), *more, "--check")
        what = "%s %s --%s: %s" % (program, words, flag["name"], done.stderr)
        expect("does not take it" not in done.stdout + done.stderr, what)
        expect(program != "handfast" or done.returncode == 0, what)
    num = _in_parallel([lambda row=row: accepted(*row[:3]) for row in _each(story) if row[3]])
    print("    %d accepted" % num)
    expect(num > 150, "hardly any flag is a command's own")


def shows_that_every_flag_is_some_commands(story):
    for program, table in story.help.items():
        taken = {name for command in table["commands"] for name in command["flags"]}
        expect_eq({flag["name"] for flag in table["flags"]} - COMMON - taken, set(), "flags of %s that no command takes" % program)
        for command in table["commands"]:
            for flag in table["flags"]:
                shown = "--%s" % flag["name"] in command["arguments"].replace("[", " ").replace("]", " ").split()
                expect(not shown or flag["name"] in command["flags"] or flag["name"] in COMMON, "%s %s" % (command["words"], flag["name"]))
    for command in story.help["handfast"]["commands"]:
        expect(len(command["flags"]) < 20, "%s takes %s" % (command["words"], command["flags"]))


def shows_that_nothing_is_done_before_a_flag_is_refused(story):
    log = story.log_path("strace")
    for line in FOUND:
        words = line.split()
        done = subprocess.run(["strace", "-f", "-o", log, "-e", "trace=connect,sendto,sendmsg", story.binary("handfast"), *words],
                              capture_output=True, text=True, timeout=30, check=False)
        expect_eq(done.returncode, 64, "exit code of %s: %s" % (line, done.stderr))
        with open(log) as file:
            calls = [call for call in file if "(" in call and "+++" not in call]
        expect_eq(calls, [], "system calls of %s" % line)
    lost = _run(story, "handfast-sidecar", "svid", "--write", "/nowhere", "--timeout", "1s")
    expect_eq(lost.returncode, 64, "exit code of handfast-sidecar svid --timeout: %s" % lost.stderr)
    lost = _run(story, "handfast-sidecar", "run", "--timeout", "1s")
    expect_in("--timeout: it is given without --take-over", lost.stderr, "handfast-sidecar run --timeout")
