"""`handfast status` shows the present state: a row per sidecar, the present intermediate, a copied state folder. And a
sidecar reports that its claim was refused.

    control [intermediates that live a minute] --- one [sidecar], two [sidecar of the same identity], thief [a copy of the state of `one`]

Rows: I12."""

import json
import os
import shutil

from handfast_harness import Mesh, expect, expect_eq, expect_in, identity_of, wait_until

DEADLINE_S = 300
SHARED = identity_of("shared")


def arrange(story):
    story.mesh = Mesh(story, hosts=(), outsiders=("one", "two", "thief"), leaf_ttl="10s",
                      control={"identity": {"intermediate_ttl": "60s"}})
    story.control = story.mesh.control
    story.first, story.first_ends = _authorities(story), _intermediate_ends(story)
    story.one = story.mesh.start_sidecar("one", identity=SHARED)
    story.two = story.mesh.start_sidecar("two", identity=SHARED)
    story.thief = story.mesh.make_sidecar("thief", identity=SHARED, token=story.one.token).intercept()
    shutil.rmtree(story.thief.state)
    shutil.copytree(story.one.state, story.thief.state)
    for path in [story.thief.state] + [os.path.join(story.thief.state, name) for name in os.listdir(story.thief.state)]:
        shutil.copystat(path.replace(story.thief.state, story.one.state), path)
        os.chown(path, 1337, 1337)
    story.thief.start()


def _status(story):
    return json.loads(story.control.run("status", "--output", "json").stdout)


def _authorities(story):
    return {authority["kind"]: authority["sha256"] for authority in _status(story)["authorities"]}


def _intermediate_ends(story):
    return story.control.metrics()["handfast_control_intermediate_expiry_timestamp_seconds"]


def finding_i12_two_sidecars_of_one_identity_have_a_row_each(story):
    where = {story.mesh.one.ipv4, story.mesh.two.ipv4}

    def both():
        """The rows, once either is connected and has its address, which it claims a moment later."""
        rows = _status(story)["svid_holders"]
        return ([(row["id"], row["connected"], len(where & set(row["addresses"]))) for row in rows] == [(SHARED, True, 1)] * 2
                and rows)
    rows = wait_until("both to be connected, with one address each", both, 20)
    expect_eq(len({row["attestation_key_sha256"] for row in rows}), 2, "attestation keys")
    text = story.control.run("status").stdout
    for row in rows:
        expect_in(row["attestation_key_sha256"][:16], text, "the rows as text")


def finding_i12_a_sidecar_that_drains_is_shown(story):
    expect("DRAINING" not in story.control.run("status").stdout, "one drains before the command")
    story.two.command("drain")
    wait_until("one row to drain", lambda: [row["draining"] for row in sorted(
        _status(story)["svid_holders"], key=lambda row: story.mesh.two.ipv4 in row["addresses"])] == [False, True], 15)
    shown = [line for line in story.control.run("status").stdout.splitlines() if ", DRAINING" in line]
    expect_eq(len(shown), 1, "rows that drain, as text")
    expect_in(SHARED + "  connected, DRAINING  ", shown[0], "the row")
    expect_in(story.mesh.two.ipv4, shown[0], "the row")
    story.two.restart()
    wait_until("no row to drain", lambda: not any(row["draining"] for row in _status(story)["svid_holders"]), 20)


def finding_i12_a_refused_address_is_part_of_readiness(story):
    story.two.stop()
    for name in os.listdir(story.two.state):
        os.remove(os.path.join(story.two.state, name))
    story.control.token(identity_of("other"), path=story.two.token)
    other = story.two
    other.launch()
    wait_until("the claim to be refused", lambda: other.is_ready() and "address claim refused" in other.probe()[1], 20)
    status, text = other.probe()
    expect_eq((status, text.splitlines()[0]), (200, "ready"), "readiness: " + text)
    for words in ("degraded: address claim refused: ", "expected: an address that no other identity has claimed",
                  "held by " + SHARED, "handfast entry release"):
        expect_in(words, text, "the readiness page")
    other.stop()


def finding_i12_the_present_intermediate_is_shown(story):
    wait_until("another intermediate", lambda: _authorities(story)["intermediate"] != story.first["intermediate"], 60)
    now = _authorities(story)
    expect_eq(now["root"], story.first["root"], "the root")
    expect(_intermediate_ends(story) > story.first_ends, "the metric shows the first intermediate still")
    expect_in("intermediate", story.control.process.log(), "the log")


def finding_i12_a_copied_state_folder_is_noticed(story):
    story.control.process.wait_for_log("copied state: two sidecars use the attestation key of " + SHARED, 70)
    copied = [row for row in _status(story)["svid_holders"] if row["copied"]]
    expect_eq(len(copied), 1, "rows that are marked as copied")
    expect_in("COPIED STATE", story.control.run("status").stdout, "the rows as text")
    expect_eq(story.control.metrics()["handfast_control_copied_sidecars"], 2, "the metric")
    expect(story.control.process.log().count("copied state") <= 2, "it is logged repeatedly")
