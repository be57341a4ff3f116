"""The control plane's page shows the mesh to who has its token: identities, who talks to whom and how, and changes as they
come; without the token, or by a name that DNS rebinding made, it shows nothing.

    control: handfast-control, 127.0.0.1:15016
    client: [sidecar] ==tunnel==> server: [sidecar] -> echo; stranger (no sidecar)"""

import contextlib
import json
import os
import re
import secrets
import time

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, identity_of, stream, wait_until
from handfast_harness.control_plane import METRICS, private_file

DEADLINE_S = 180
PORT = 15016


def arrange(story):
    story.token = secrets.token_hex(32)
    mesh = story.mesh = Mesh(story, outsiders=("stranger",), leaf_ttl="1h", start=False)
    story.token_file = private_file(os.path.join(mesh.control.folder, "page.token"), story.token + "\n")
    mesh.control.configure({"page": {"token_file": story.token_file}})
    mesh.start()
    story.own(StreamServer(story, mesh.server, 9000, "echo"))


def _get(story, path, headers=None, **more):
    return story.mesh.control.host.http("http://127.0.0.1:%d%s" % (PORT, path), headers=headers, **more)


def _bearer(story):
    return {"Authorization": "Bearer " + story.token}


def _state(story):
    status, body = _get(story, "/state", _bearer(story))
    expect_eq(status, 200, "status of /state")
    return json.loads(body)


@contextlib.contextmanager
def _events(story):
    """A function that waits for the next state."""
    with story.mesh.control.host.connect("127.0.0.1", PORT, timeout_s=20) as sock:
        sock.sendall(("GET /events HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n\r\n" % (PORT, story.token)).encode())
        received = [b""]

        def next_state():
            while True:
                head, found, rest = received[0].partition(b"\n\n")
                if found and b"data: " in head:
                    received[0] = rest
                    return json.loads(head.rpartition(b"data: ")[2])
                if found:
                    received[0] = rest
                    continue
                part = sock.recv(65536)
                expect(part, "the stream has ended")
                received[0] += part
        yield next_state


def shows_that_the_page_is_whole_and_has_no_data(story):
    status, body = _get(story, "/")
    page = body.decode()
    expect_eq((status, page.count("<script>"), page.count("<style>")), (200, 1, 1), "the page")
    expect_eq(re.findall(r"""(?:src|href)="(?!#)[^"]*""", page), [], "what it would fetch")
    expect("cluster.local" not in page, "the page has data")


def shows_nothing_without_the_token_and_to_a_name(story):
    for headers in ({}, {"Authorization": "Bearer " + "0" * 64}, {"Cookie": "token=" + story.token}):
        for path in ("/state", "/events", "/state?token=" + story.token):
            status, body = _get(story, path, headers)
            expect_eq(status, 401, "%s with %s" % (path, list(headers)))
            expect("spiffe://" not in body.decode(), "data without the token")
    expect_eq(_get(story, "/state", {**_bearer(story), "Host": "evil.example"})[0], 403, "a Host of DNS rebinding")
    story.mesh.control.process.wait_for_log("without the token of page.token_file")
    expect(story.token not in story.mesh.control.log(), "the token is in the log")


def shows_that_the_port_is_of_loopback_alone(story):
    expect(not story.mesh.control.host.accepts(PORT, story.mesh.control.host.ipv4), "the page listens to the network")


def shows_who_talks_to_whom_and_how(story):
    mesh = story.mesh
    expect(stream.is_answered(mesh.client, mesh.server.ipv4, 9000), "a call in the mesh")
    mesh.client.connect(mesh.stranger.ipv4, 9000, uid=1000).close()  # of no identity: it waits, then is refused
    of_client = lambda: {edge["destination"]: edge for edge in _state(story)["edges"] if edge["from"] == identity_of("client")}
    wait_until("both edges", lambda: len(of_client()) == 2)
    meshed, unknown = of_client()["%s:9000" % mesh.server.ipv4], of_client()["%s:9000" % mesh.stranger.ipv4]
    expect_eq((meshed["kind"], meshed["to"], meshed["endpoints"], meshed["sidecars"]), ("encrypted", [identity_of("server")], 1, 1), "the edge in the mesh")
    expect_eq((unknown["kind"], unknown["to"]), ("unknown", []), "the edge to the stranger")
    expect(unknown["reason"], "no reason why it is not known")
    expect(abs(meshed["since_ms"] / 1000 - time.time()) < 30, "since when: %s" % meshed)


def shows_identities_roots_and_conditions(story):
    state = _state(story)
    expect_eq({one["id"] for one in state["sidecars"] if one["connected"]}, {identity_of("client"), identity_of("server")}, "connected")
    expect_eq({one["kind"] for one in state["authorities"]} >= {"root", "intermediate", "bootstrap root"}, True, "authorities")
    expect_eq((state["rotation"]["phase"], state["bootstrap_rotation"]["phase"], state["conditions"]), ("none", "none", []), "rotations")


def shows_changes_as_events(story):
    with _events(story) as next_state:
        expect_eq([one["banned"] for one in next_state()["sidecars"]], [False, False], "banned at first")
        story.mesh.control.run("ban", identity_of("client"))
        banned = lambda state: {one["id"] for one in state["sidecars"] if one["banned"]}
        wait_until("an event with the ban", lambda: banned(next_state()) == {identity_of("client")})
        story.mesh.control.run("unban", identity_of("client"))
        wait_until("an event without it", lambda: banned(next_state()) == set())


def _expect_no_page(story, reason):
    """The control plane serves, and its condition names the reason and the fix (decision 109)."""
    control = story.mesh.control
    text = control.run("status").stdout
    row = next((line for line in text.splitlines() if "there is no operators' page" in line), "")
    expect(reason in row and "then restart the control plane" in row, "the condition in status: %r" % text)
    expect_eq(control.metrics()['handfast_control_condition{name="page"}'], 1, "the condition's metric")
    status, body = control.host.http("http://%s:%d/healthz/ready" % (control.host.ipv4, METRICS))
    expect_eq(status, 200, "readiness")
    expect_in("degraded: page: there is no operators' page", body.decode(), "the readiness page")
    control.process.wait_for_log("there is no operators' page")
    story.mesh.sidecar("client").process.wait_until(
        "the client to be connected", lambda: story.mesh.sidecar("client").metric("handfast_control_plane_connected") == 1, 70)


def shows_that_a_token_that_others_can_read_is_refused(story):
    control = story.mesh.control
    control.stop()
    os.chmod(story.token_file, 0o644)
    control.start()
    _expect_no_page(story, "page.token")
    os.chmod(story.token_file, 0o600)
    control.restart()
    expect_eq(control.metrics()['handfast_control_condition{name="page"}'], 0, "the condition")
    expect_eq(_get(story, "/state", _bearer(story))[0], 200, "the page after a restart")


def shows_that_no_token_and_a_port_in_use_stop_no_certificates(story):
    control = story.mesh.control
    for content in (None, "short\n"):
        control.stop()
        if content is None:
            os.remove(story.token_file)
        else:
            private_file(story.token_file, content)
        control.start()
        _expect_no_page(story, "page.token")
    control.stop()
    private_file(story.token_file, story.token + "\n")
    with contextlib.closing(control.host.listen("127.0.0.1", PORT)):
        control.start()
        _expect_no_page(story, str(PORT))
    control.restart()
    expect_eq(_get(story, "/state", _bearer(story))[0], 200, "the page at last")
