"""A ban can be lifted, tokens can be listed and revoked, and no token is made for a banned identity.

    control --- client [sidecar], late [sidecar that comes with a revoked token]

Rows: I10, O1."""

import concurrent.futures
import json
import os
import re

from handfast_harness import Mesh, expect, expect_eq, expect_in, identity_of, needs_earlier, wait_until

DEADLINE_S = 300
CLIENT, LATE = identity_of("client"), identity_of("late")


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), outsiders=("late",), leaf_ttl="1h")
    story.control, story.client = story.mesh.control, story.mesh.sidecar("client")


def _json(story, *words, check=True):
    return json.loads(story.control.run(*words, "--output", "json", check=check).stdout)


def finding_i10_a_revoked_token_enrolls_no_key(story):
    token = story.control.token(LATE, "--network", "192.0.2.0/24")
    listed = {entry["id"]: entry for entry in _json(story, "token", "list")["tokens"]}
    expect(listed[CLIENT]["consumed_by"], "the client's token is not listed as used: %s" % listed)
    expect_eq((listed[LATE]["consumed_by"], listed[LATE]["networks"]), ("", ["192.0.2.0/24"]), "the unused token")
    token_id = listed[LATE]["token_id"]
    expect(re.search(token_id + r"  \S+/late  until \S+  unused  from 192.0.2.0/24\n", story.control.run("token", "list").stdout),
           "the text form of the list")
    expect_eq(story.control.run("token", "revoke", "xyz", check=False).returncode, 64, "exit code for an invalid token id")
    expect_eq(story.control.run("token", "revoke", "0" * 32, check=False).returncode, 1, "exit code for an unknown token")
    expect_eq(story.control.run("token", "revoke", token_id).stdout, "revoked\n", "the revocation")
    expect(LATE not in {entry["id"] for entry in _json(story, "token", "list")["tokens"]}, "it is still listed")
    late = story.mesh.start_sidecar("late", token=token, wait=False)
    late.process.wait_for_log("the token is unknown or its secret is wrong")
    late.stop()
    revoked = story.control.run("token", "revoke", listed[CLIENT]["token_id"]).stdout
    expect_in("the attestation key that it enrolled stays valid", revoked, "the revocation of a consumed token")
    expect_eq(story.client.probe()[0], 200, "readiness of the sidecar that used it")


def shows_that_a_token_whose_time_is_over_is_listed_as_expired(story):
    brief = identity_of("brief")
    story.control.token(brief, "--ttl", "1s")
    wait_until("the end of its time", lambda: any(entry["has_expired"] for entry in _json(story, "token", "list")["tokens"]
                                                  if entry["id"] == brief), 15)
    expect(re.search(r"  \S+/brief  until \S+  expired\n", story.control.run("token", "list").stdout), "the text form of the list")


def finding_i10_a_ban_is_listed_and_lifted_by_the_command_in_the_texts(story):
    unused = story.control.token(CLIENT)
    expect_in("1 attested sidecars have that identity, 1 unused tokens", story.control.run("ban", CLIENT).stdout, "the ban")
    expect_eq([(ban["id"], ban["svid_holders"]) for ban in _json(story, "ban", "list")["bans"]], [(CLIENT, 1)], "the bans")
    expect_in(CLIENT, story.control.run("ban", "list").stdout, "the bans as text")
    wait_until("the banned sidecar to be not ready or away",
               lambda: story.client.probe()[0] != 200 or "control plane unreachable" in json.dumps(story.client.admin("/check")), 20)
    refused = story.control.run("token", "create", "--id", CLIENT, check=False)
    expect_eq(refused.returncode, 1, "exit code of a token for a banned identity")
    named = re.search(r"handfast (\w+)", refused.stderr).group(1)
    expect_eq(story.control.run(named, CLIENT).stdout.partition(";")[0], "the ban is lifted", "handfast " + named)
    expect_eq(story.control.run("unban", CLIENT, check=False).returncode, 1, "exit code when there is no ban")
    expect_eq(_json(story, "ban", "list")["bans"], [], "the bans afterwards")
    wait_until("the sidecar to reconnect by itself",
               lambda: "control plane unreachable" not in json.dumps(story.client.admin("/check")),
               70)  # one that was refused dials again after up to a minute
    story.control.token(CLIENT)
    late = story.mesh.start_sidecar("late", token=unused, wait=False)
    late.process.wait_for_log("the token is unknown or its secret is wrong")
    late.stop()  # it would try again, which adds to the audit log


def shows_that_two_commands_that_lift_one_ban_both_succeed(story):
    for _ in range(5):
        story.control.run("ban", LATE)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            codes = [done.returncode for done in pool.map(lambda _: story.control.run("unban", LATE, check=False), range(2))]
        expect(0 in codes and set(codes) <= {0, 1}, "two unban at once ended with %s" % codes)
        expect_eq(_json(story, "ban", "list")["bans"], [], "the bans afterwards")


@needs_earlier
def finding_i12_the_audit_log_has_each_command_and_shows_what_was_changed(story):
    path = os.path.join(story.control.state, "store", "audit.log")
    with open(path) as file:
        lines = file.readlines()
    for text in ("join token made for", "banned: ", "ban lifted: ", "attested: "):
        expect(any(text in line for line in lines), "no line with '%s'" % text)
    verified = _json(story, "audit", "verify", path)
    expect_eq((verified["lines"], verified["last_number"], verified["cut"]), (len(lines), len(lines), 0), "the whole log")
    story.control.restart()
    expect(_json(story, "audit", "verify", path)["lines"] >= len(lines), "a restart continues the chain")
    for name, changed in (("changed", [lines[0], lines[1].replace("a", "b"), *lines[2:]]), ("removed", lines[:1] + lines[2:]),
                          ("twice", lines[:2] + lines[1:])):
        with open(path + "." + name, "w") as file:
            file.writelines(changed)
        refused = story.control.run("audit", "verify", path + "." + name, check=False)
        expect_eq(refused.returncode, 65, "verify of %s" % name)
        expect_in("after line number ", refused.stderr, "verify of %s" % name)


@needs_earlier
def shows_that_no_line_of_an_audit_log_passes_as_one_that_a_crash_cut(story):
    """A crash leaves the first bytes of one line, and the next line states them: what else is no line is a forgery."""
    path = os.path.join(story.control.state, "store", "audit.log")
    story.control.kill()
    with open(path) as file:
        lines = file.read().splitlines()
    last = json.loads(lines[-1])
    known = "%d:%s" % (last["number"], last["hash"])
    begun = '{"number":4,"time":"2026-01-01T00:00:00.000Z","event":"operator bob banned everyone'
    forged = {
        "a line with a blank behind it, inserted": lines[:3] + [lines[2] + " "] + lines[3:],
        "another line, inserted": lines[:3] + ['{"forged":"operator bob banned everyone"} '] + lines[3:],
        "the beginning of a line, inserted": lines[:3] + [begun] + lines[3:],
        "an empty line": lines[:3] + [""] + lines[3:],
        "the last line, changed": lines[:-1] + [lines[-1].replace("spiffe", "spiffy") + " "],
        "the last line without its end": lines[:-1] + [lines[-1][:-1] + " "]}
    for name, changed in forged.items():
        for more in ((), ("--known", known)):
            expect_eq(_verify(story, changed, *more).returncode, 65, "verify of %s" % name)
    expect_eq(_verify(story, [line + " " for line in lines]).returncode, 1, "verify of lines that are all changed")
    for other in ("/etc/passwd", "/dev/null"):
        refused = story.control.run("audit", "verify", other, check=False)
        expect_eq(refused.returncode, 1, "verify of %s" % other)
        expect_in("has no line of an audit log", refused.stderr, "verify of %s" % other)
    expect_eq(_verify(story, lines, "--known", known).returncode, 0, "verify of the log itself")
    _refuses_a_changed_end(story, path, lines)
    _states_what_a_crash_cut(story, path)


def _verify(story, lines, *more):
    path = os.path.join(story.control.folder, "forged.log")
    with open(path, "w") as file:
        file.write("".join(line + "\n" for line in lines))
    return story.control.run("audit", "verify", path, *more, check=False)


def _refuses_a_changed_end(story, path, lines):
    with open(path, "w") as file:
        file.write("".join(line + "\n" for line in lines[:-1]) + lines[-1].replace("spiffe", "spiffy") + " \n")
    process = story.control.launch()
    expect_eq(process.wait_for_exit(20), 65, "the exit code of a control plane whose log was changed (%s)" % process.log()[-300:])
    expect_in("is damaged, or was changed", process.log(), "its log")


def _states_what_a_crash_cut(story, path):
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text[:-100].replace("spiffy", "spiffe"))
    left = _json(story, "audit", "verify", path)
    expect(left["unstated_bytes"] > 100, "what is behind the last line: %s" % left)
    story.control.start()
    story.control.run("ban", LATE)
    found = _json(story, "audit", "verify", path)
    expect_eq((found["cut"], found["unstated_bytes"]), (1, 0), "lines that were cut")
    story.control.run("unban", LATE)
