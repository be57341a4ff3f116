"""An upgrade of a sidecar with settings that lead to no control plane succeeds, as asked for, and reports what does not work
yet; so does `handfast-sidecar wait`, with which a start and a reload of the unit end

    control --- client [sidecar -> sidecar -> ...], server [sidecar]"""

import contextlib
import json
import os
import signal

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, needs, settings, stream, wait_until
from handfast_harness.control_plane import SIDECAR_UID

DEADLINE_S = 180
NOWHERE = "192.0.2.99:15012"
UPGRADED = "upgraded: the new process serves"


def arrange(story):
    story.mesh = Mesh(story, hosts=("client", "server"), leaf_ttl="1h")
    story.own(StreamServer(story, story.mesh.client, 9000, "echo"))
    story.client = story.mesh.sidecar("client")
    story.pids = [story.client.process.pid]
    story.own(_ended(story))


@contextlib.contextmanager
def _ended(story):
    """What the command started."""
    yield
    for pid in story.pids[1:]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _command(story, *words):
    return story.mesh.client.run([story.binary("handfast-sidecar"), *words, "--config", story.client.path], uid=SIDECAR_UID)


def _upgrade(story, *words):
    made = _command(story, "upgrade", *words)
    wait_until("the process before to leave the port", lambda: story.client.listening_pid() != story.pids[-1], 10)
    story.pids.append(story.client.listening_pid())
    return made


def _conditions(text):
    return [line for line in text.splitlines() if line.startswith(("handfast-sidecar: degraded: ", "handfast-sidecar: failed: "))]


def shows_that_an_upgrade_that_leaves_nothing_undone_reports_nothing_else(story):
    made = _upgrade(story)
    expect_eq((made.stdout, _conditions(made.stderr)), (UPGRADED + "\n", []), "the command's output")
    expect_eq(json.loads(_upgrade(story, "--output", "json").stdout), {"answer": UPGRADED}, "its JSON")
    waited = _command(story, "wait")
    expect_eq((waited.stdout, waited.stderr), ("ready\n", ""), "what wait prints")


def shows_that_settings_that_lead_nowhere_are_in_use_and_reported(story):
    settings.write(story.client.path, settings.merge(story.client.settings, {"control": {"address": NOWHERE}}))
    made = _upgrade(story)
    expect_eq(made.stdout, UPGRADED + "\n", "the command's answer")
    lines = _conditions(made.stderr)
    expect(len(lines) == 1 and lines[0].startswith("handfast-sidecar: degraded: control plane unreachable: the connection to " + NOWHERE),
           "the conditions: %s" % made.stderr)
    for part in ("; expected: ", "; fix: "):
        expect_eq(lines[0].count(part), 1, "%r in the condition %r" % (part, lines[0]))
    row = next(row for row in story.client.admin("/config")["settings"] if row["key"] == "control.address")
    expect_eq(row["value"], NOWHERE, "the setting in force")
    expect(stream.is_answered(story.mesh.server, story.mesh.client.ipv4, 9000), "the calls to the workload do not go on")


@needs(shows_that_settings_that_lead_nowhere_are_in_use_and_reported)
def shows_that_wait_and_json_have_it_too(story):
    for words in (("wait",), ("wait", "--started"), ("wait", "--listening")):
        made = _command(story, *words)
        expect_in("handfast-sidecar: degraded: control plane unreachable: ", made.stderr, "what %s prints" % (words,))
        answer = json.loads(_command(story, *words, "--output", "json").stdout)
        expect(any(NOWHERE in line for line in answer["conditions"]), "the JSON of %s: %s" % (words, answer))
    answer = json.loads(_upgrade(story, "--output", "json").stdout)
    expect_eq(answer["answer"], UPGRADED, "the answer")
    expect(len(answer["conditions"]) == 1 and NOWHERE in answer["conditions"][0], "the conditions: %s" % answer)


@needs(shows_that_settings_that_lead_nowhere_are_in_use_and_reported)
def shows_that_the_next_upgrade_ends_it(story):
    settings.write(story.client.path, story.client.settings)
    made = _upgrade(story)
    expect_eq((made.stdout, _conditions(made.stderr)), (UPGRADED + "\n", []), "the command's output")
