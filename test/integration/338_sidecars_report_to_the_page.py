"""Sidecars report to the operators' page whom they talk to, what was refused and why, and which ports are ready for strict;
a report that lies, is too large or comes too often costs the control plane nothing and ends no stream.

    control: handfast-control, 127.0.0.1:15016
    client: [sidecar] ==tunnel==> server: [sidecar: 9001 is for others] -> echo; stranger (plaintext)"""

import contextlib
import json
import os
import secrets

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, identity_of, needs, stream, wait_until
from handfast_harness.certificates import Identity
from handfast_harness.control_plane import private_file
from peers.enrollment import Enrollment, field, fields, new_key, read_token

DEADLINE_S = 240
POLICY = {"workloads": [{"identity": identity_of("server"), "rules": [
    {"name": "others-alone", "sources": [{"id": identity_of("other")}], "ports": [9001]},
    {"name": "the-rest", "ports": [9000, 9002], "unauthenticated": True}, {"name": "mesh", "ports": [9000, 9002]}]}]}
IDENTITY = "/handfast.v1.Identity/Stream"
HELLO = field(1, field(1, 1) + field(3, b"peer"))


def arrange(story):
    story.token = secrets.token_hex(32)
    mesh = story.mesh = Mesh(story, outsiders=("stranger",), leaf_ttl="1h", policy=POLICY, start=False)
    token_file = private_file(os.path.join(mesh.control.folder, "page.token"), story.token + "\n")
    mesh.control.configure({"page": {"token_file": token_file}})
    mesh.start()
    for port in (9000, 9001, 9002):
        story.own(StreamServer(story, mesh.server, port, "echo"))


def _state(story):
    status, body = story.mesh.control.host.http("http://127.0.0.1:15016/state", headers={"Authorization": "Bearer " + story.token})
    expect_eq(status, 200, "status of /state")
    return json.loads(body)


def _seen(story, **wanted):
    return [row for row in _state(story)["seen"] if all(row[key] == value for key, value in wanted.items())]


def _wait_for_row(story, **wanted):
    return wait_until("a row with %s" % wanted, lambda: _seen(story, **wanted), 25, 0.3)[0]


def shows_who_talked_to_whom_and_how(story):
    mesh = story.mesh
    wait_until("both to have been asked for reports", lambda: _state(story)["num_reports"] == 2, 20, 0.2)
    for host, port in ((mesh.client, 9000), (mesh.client, 9000), (mesh.client, 9002), (mesh.stranger, 9000)):
        expect(stream.is_answered(host, mesh.server.ipv4, port), "%s to %d" % (host.name, port))
    expect(not stream.is_answered(mesh.client, mesh.server.ipv4, 9001), "a call that policy refuses was answered")
    # A report may have been made between the two calls.
    out = _wait_for_row(story, reporter=identity_of("client"), outbound=True, port=9000, reason="", num=2)
    expect_eq((out["peer"], out["encrypted"], out["ip"]), (identity_of("server"), True, mesh.server.ipv4), "the caller's row")
    expect(0 <= out["last_ms"] - out["first_ms"] < 60000, "times: %s" % out)
    into = _wait_for_row(story, reporter=identity_of("server"), outbound=False, port=9000, encrypted=True, num=2)
    expect_eq(into["peer"], identity_of("client"), "the row of the called")
    plain = _wait_for_row(story, reporter=identity_of("server"), encrypted=False, reason="")
    expect_eq((plain["peer"], plain["ip"], plain["port"]), ("", mesh.stranger.ipv4, 9000), "the row of plaintext")


@needs(shows_who_talked_to_whom_and_how)
def shows_what_was_refused_with_its_reason_and_the_fix(story):
    for name in ("server", "client"):
        row = _wait_for_row(story, reporter=identity_of(name), port=9001, reason="denied")
        expect(row["detail"] and row["fix"], "no detail or fix: %s" % row)
    expect_in(identity_of("client"), _seen(story, reporter=identity_of("server"), port=9001)[0]["detail"], "who was refused")


@needs(shows_who_talked_to_whom_and_how)
def shows_which_ports_are_ready_for_strict(story):
    def ports():
        return {(row["port"], row["plaintext"]) for row in _state(story)["ports"] if row["id"] == identity_of("server")}
    wait_until("the ports of the server (they are %s)" % ports(), lambda: ports() == {(9000, True), (9002, False)}, 25, 0.3)


def _hostile(number):
    """A report of so many rows; their texts are no UTF-8, or markup."""
    peer = lambda i: field(1, b"\xff\xfe<script>" if i % 2 else b"<b>") + field(2, field(1, b"\xc0\x00\x02\x01") + field(2, 70000 if i == 3 else i + 1)) + \
        field(5, b"denied") + field(8, i + 1)
    return field(6, b"".join(field(1, peer(i)) for i in range(number)) + field(3, 0) + field(3, 99999) + field(4, 1))


def shows_that_a_hostile_report_is_bounded_and_ends_no_stream(story):
    mesh = story.mesh
    token, leaf_key = read_token(mesh.control.token(identity_of("odd"))), new_key()
    with Enrollment(mesh.stranger, mesh.control.host.ipv4) as control:
        leaf = Identity(leaf_key, control.attest(token, leaf_key=leaf_key).chain)
    with Enrollment(mesh.stranger, mesh.control.host.ipv4, leaf) as control:
        asked = control.talk(IDENTITY, [HELLO, _hostile(200), _hostile(1), field(6, b"")], lambda down: 1 in dict(fields(down)))
        expect_eq(dict(asked).get(14), 10, "how often the control plane asks for a report")
        rows = wait_until("its rows", lambda: _seen(story, reporter=identity_of("odd")), 10, 0.2)
        expect_eq(len(rows), 63, "rows of a report of 200, of which the fourth has no port that exists")
        expect_eq({row["peer"] for row in rows}, {"??<script>", "<b>"}, "peers: bytes that are not printable")
        expect_eq([row["plaintext"] for row in _state(story)["ports"] if row["id"] == identity_of("odd")], [True], "its ports")
        expect_eq([one["connected"] for one in _state(story)["sidecars"] if one["id"] == identity_of("odd")], [True], "its stream")
    wait_until("its rows to go with its stream", lambda: not _seen(story, reporter=identity_of("odd")), 10, 0.2)


def shows_that_a_report_that_is_too_large_is_left_out(story):
    mesh = story.mesh
    token, leaf_key = read_token(mesh.control.token(identity_of("large"))), new_key()
    with Enrollment(mesh.stranger, mesh.control.host.ipv4) as control:
        leaf = Identity(leaf_key, control.attest(token, leaf_key=leaf_key).chain)
    with Enrollment(mesh.stranger, mesh.control.host.ipv4, leaf) as control:
        large = field(6, field(1, field(1, b"x" * 50000) + field(2, field(1, b"\xc0\x00\x02\x01") + field(2, 1))))
        control.talk(IDENTITY, [HELLO, large], lambda down: 1 in dict(fields(down)))
        wait_until("its stream", lambda: [one["connected"] for one in _state(story)["sidecars"] if one["id"] == identity_of("large")] == [True], 10, 0.2)
        expect_eq(_seen(story, reporter=identity_of("large")), [], "rows of a report of 50 KB")
        wait_until("its report to be counted", lambda: _state(story)["num_reports_left_out"] == 1, 10, 0.2)


@contextlib.contextmanager
def _greedy(story):
    """Four streams of each of six connections, each with a report of 64 rows of control bytes, as large as one may be."""
    token, leaf_key = read_token(story.mesh.control.token(identity_of("greedy"))), new_key()
    with Enrollment(story.mesh.stranger, story.mesh.control.host.ipv4) as control:
        leaf = Identity(leaf_key, control.attest(token, leaf_key=leaf_key).chain)
    row = lambda i: field(1, field(2, field(1, b"\xc0\x00\x02\x01") + field(2, i + 1)) + field(5, b"denied") + field(6, b"\x01" * 700) + field(8, i + 1))
    report = field(6, b"".join(row(i) for i in range(64)))
    with contextlib.ExitStack() as stack:
        for _ in range(6):
            control = stack.enter_context(Enrollment(story.mesh.stranger, story.mesh.control.host.ipv4, leaf))
            for _ in range(4):
                control.talk(IDENTITY, [HELLO, report], lambda down: 1 in dict(fields(down)))
        yield


def shows_that_an_identity_with_many_streams_hides_no_other(story):
    with _greedy(story):
        wait_until("the rows of 24 streams to be left out but for 128", lambda: _state(story)["num_reports"] >= 26 and
                   _state(story)["num_seen_left_out"] == 24 * 64 - 128, 40, 0.3)
        expect_eq(len(_seen(story, reporter=identity_of("greedy"))), 128, "rows that are shown")
        expect(_seen(story, reporter=identity_of("client")) and _seen(story, reporter=identity_of("server")), "the others' rows are hidden")
    wait_until("its rows to go", lambda: _state(story)["num_seen_left_out"] == 0, 20, 0.2)


def _subscriptions(num):
    """1,024 addresses in each message, below those of the mesh in their order."""
    one = lambda i: field(1, field(1, bytes([1, 0, i >> 8, i & 255])) + field(2, 80))
    return [field(2, b"".join(one(i) for i in range(first, min(num, first + 1024)))) for first in range(0, num, 1024)]


@needs(shows_who_talked_to_whom_and_how)
def shows_that_an_identity_with_many_arrows_hides_no_other(story):
    token, leaf_key = read_token(story.mesh.control.token(identity_of("curious"))), new_key()
    with Enrollment(story.mesh.stranger, story.mesh.control.host.ipv4) as control:
        leaf = Identity(leaf_key, control.attest(token, leaf_key=leaf_key).chain)
    with Enrollment(story.mesh.stranger, story.mesh.control.host.ipv4, leaf) as control:
        control.talk("/handfast.v1.Discovery/Stream", [HELLO, *_subscriptions(2100)], lambda down: 2 in dict(fields(down)))
        wait_until("arrows that are left out", lambda: _state(story)["num_edges_left_out"] >= 100, 20, 0.3)
        edges = _state(story)["edges"]
        expect_eq(len(edges), 2000, "arrows that are shown")
        expect([edge for edge in edges if edge["from"] == identity_of("client")], "the client's arrows are hidden")


def shows_that_nothing_is_reported_without_a_page(story):
    control = story.mesh.control
    control.settings.pop("page")
    control.configure()
    control.restart()
    for name in ("client", "server"):
        story.mesh.sidecar(name).process.wait_until("a stream", lambda name=name: story.mesh.sidecar(name).metric("handfast_control_plane_connected") == 1, 20)
    token, leaf_key = read_token(control.token(identity_of("late"))), new_key()
    with Enrollment(story.mesh.stranger, control.host.ipv4) as stranger:
        leaf = Identity(leaf_key, stranger.attest(token, leaf_key=leaf_key).chain)
    with Enrollment(story.mesh.stranger, control.host.ipv4, leaf) as stranger:
        asked = stranger.talk(IDENTITY, [HELLO], lambda down: 1 in dict(fields(down)))
        expect_eq(dict(asked).get(14), None, "how often the control plane asks for a report")
