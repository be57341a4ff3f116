"""`handfast check` beside a sidecar whose identity is banned begins with "not ready", names the ban and what lifts it; and a
port that is strict is not listed as one that is ready for it.

    control --- router --- client [sidecar, banned] ==tunnel==> server [sidecar: 9000 permissive, 9001 strict] -> echo"""

import contextlib
import json
import signal
import time

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, identity_of, needs, stream, wait_until

DEADLINE_S = 300
CLIENT, SERVER = identity_of("client"), identity_of("server")
NAME = "the identity is banned"


def _policy(*strict):
    return {"default_mode": "permissive",
            "workloads": [{"identity": SERVER, "ports": [{"port": port, "mode": "strict"} for port in strict]}]}


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h", policy=_policy(9001))
    for port in (9000, 9001):
        story.own(StreamServer(story, story.mesh.server, port, "echo"))


def _check(story, name):
    """Exit code, the lines of the text, and the JSON."""
    host, cli = story.mesh.net.hosts[name], story.binary("handfast")
    text = host.run([cli, "check"], check=False)
    page = json.loads(host.run([cli, "check", "--output", "json"], check=False).stdout)
    return text.returncode, text.stdout.splitlines(), page


def _calls(story, port=9000):
    return stream.is_answered(story.mesh.client, story.mesh.server.ipv4, port)


def shows_that_a_strict_port_is_not_ready_for_strict(story):
    for port in (9000, 9001):
        expect(_calls(story, port), "a call to %d" % port)
    _, lines, page = _check(story, "server")
    expect_eq(page["inbound_ports"], {"ready_for_strict": [9000], "plaintext_seen": [], "strict": [9001]}, "the ports")
    expect_in("ports with connections from the mesh only, ready for strict: 9000", lines, "the text")
    expect_in("strict ports with connections: 9001", lines, "the text")
    story.mesh.control.reload(policy=_policy(9000, 9001))
    page = wait_until("both to be strict", lambda: (lambda found: found if not found["inbound_ports"]["ready_for_strict"] else None)(
        _check(story, "server")[2]), 10)
    expect_eq(page["inbound_ports"], {"ready_for_strict": [], "plaintext_seen": [], "strict": [9000, 9001]}, "the ports")


def _wait_for_ban(story):
    client = story.mesh.sidecar("client")
    wait_until("it to know of the ban", lambda: any(one["name"] == NAME for one in client.admin("/check")["conditions"]), 15)
    code, lines, page = _check(story, "client")
    expect_eq((code, lines[0], page["ready"]), (1, "not ready", False), "exit code, first line, JSON")
    rows = [one for one in page["conditions"] if one["name"] == NAME]
    expect_eq([row["level"] for row in rows], ["failed"], "its condition: %s" % page)
    expect_in(CLIENT, rows[0]["detail"], "the detail")
    expect_in("handfast unban", rows[0]["fix"], "the fix")
    expect(any(line.startswith("  failed    " + NAME + ": ") for line in lines), "the text: %s" % lines)
    expect("control plane unreachable" not in "\n".join(lines), "the text: %s" % lines)
    expect_eq(client.probe()[0], 503, "its readiness")
    expect_eq(client.metrics()['handfast_condition{name="banned"}'], 1, "the metric")
    expect(not _calls(story), "a call of the banned one is answered")


def _lift(story):
    client = story.mesh.sidecar("client")
    story.mesh.control.run("unban", CLIENT)
    wait_until("it to be ready again", lambda: client.probe()[0] == 200, 70)  # one that was refused dials again after up to a minute
    code, lines, page = wait_until("check to report nothing", lambda: (lambda found: found if found[0] == 0 else None)(
        _check(story, "client")), 20)
    expect_eq((code, lines[0], page["ready"]), (0, "ready", True), "exit code, first line, JSON after the ban")
    expect_eq(client.metrics()['handfast_condition{name="banned"}'], 0, "the metric")
    wait_until("its calls to be answered", lambda: _calls(story), 10)


def shows_that_a_banned_sidecar_is_not_ready(story):
    story.mesh.control.run("ban", CLIENT)
    _wait_for_ban(story)
    _lift(story)


@needs(shows_that_a_banned_sidecar_is_not_ready)
def shows_that_one_that_was_away_when_it_was_banned_is_not_either(story):
    """It gets no trust state with the ban, only the refusal of its attestation."""
    host, control = story.mesh.client, story.mesh.control.host
    host.run(["nft", "add table inet cut; add chain inet cut in { type filter hook input priority -300; }; "
              "add rule inet cut in ip saddr %s drop; add rule inet cut in ip6 saddr %s drop" % (control.ipv4, control.ipv6)])
    client = story.mesh.sidecar("client")
    wait_until("it to be away", lambda: client.metric("handfast_control_plane_connected") == 0, 40)
    story.mesh.control.run("ban", CLIENT)
    _, lines, _ = _check(story, "client")
    expect_eq(lines[0], "ready", "the first line while it is away")
    host.run(["nft", "delete table inet cut"])
    _wait_for_ban(story)
    _lift(story)


@contextlib.contextmanager
def _outage(story):
    """Who dials is accepted by the kernel, and gets no answer."""
    process = story.mesh.control.process
    process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.signal(signal.SIGCONT)


def _knows_of_ban(client):
    with contextlib.suppress(OSError):  # it is starting
        return client.metrics()['handfast_condition{name="banned"}'] == 1
    return False


def _stays_not_ready(client):
    until = time.monotonic() + 6
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            expect_eq(client.probe()[0], 503, "its readiness in the outage")
        time.sleep(0.2)  # duration: it must stay so, while it dials a few times


@needs(shows_that_a_banned_sidecar_is_not_ready)
def shows_that_a_ban_is_known_when_the_control_plane_stops_at_the_cut(story):
    """The trust state with the ban comes first: no control plane refuses it when it dials again. It does not go on with
    what it had either when it is restarted then."""
    client = story.mesh.sidecar("client")
    wait_until("it to be connected", lambda: client.metric("handfast_control_plane_connected") == 1, 20)
    story.mesh.control.run("ban", CLIENT)
    wait_until("the cut", lambda: client.metric("handfast_control_plane_connected") == 0, 10, 0.02)
    with _outage(story):
        _stays_not_ready(client)
        client.kill()
        client.launch()
        client.process.wait_for_log("no connection to the control plane", 20)
        _stays_not_ready(client)
        expect("from before the restart, valid for" not in client.process.log(), "it goes on with what it had")
    _lift(story)


@needs(shows_that_a_banned_sidecar_is_not_ready)
def shows_that_one_that_was_refused_uses_nothing_in_an_outage(story):
    """Not by the trust state, but by the answer to its attestation, in a process that had nothing else yet."""
    client = story.mesh.sidecar("client")
    client.kill()
    story.mesh.control.run("ban", CLIENT)
    client.launch()
    wait_until("it to know of the ban", lambda: _knows_of_ban(client), 15)
    _, lines, _ = _check(story, "client")
    expect(any(NAME + ": the control plane refuses it, and gives it no certificate" in line for line in lines), "the text: %s" % lines)
    with _outage(story):
        _stays_not_ready(client)
        client.kill()
        client.launch()
        client.process.wait_for_log("no connection to the control plane", 20)
        _stays_not_ready(client)
    _lift(story)
