"""A service has an endpoint that fails and one that drains: no call fails, what failed is shown to the operator, and the
draining one gets no new connection while its open one goes on.

    client -> 203.0.113.200:80 -> [sidecar] ==tunnel==> good: [sidecar] -> app
                                            ==tunnel==> failing: [sidecar] -> app, stopped
                                            ==tunnel==> leaving: [sidecar, gets SIGTERM] -> app
    all are spiffe://.../sa/web"""

import collections
import signal
import time

from handfast_harness import Mesh, StreamServer, expect, expect_eq, identity_of, needs, wait_until
from handfast_harness import stream

SERVICE, WEB = "203.0.113.200", identity_of("web")
ENDPOINTS = ("good", "failing", "leaving")
DEADLINE_S = 240


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",) + ENDPOINTS, leaf_ttl="1h", start=False, services=[
        {"name": "web", "address": SERVICE, "ports": [{"port": 80, "target": 9000}], "identity": WEB}],
        sidecar={"drain_deadline": "30s", "drain_minimum": "20s"}, sidecars={"client": {"access_log": "all"}})
    story.mesh.start_control()
    story.client = story.mesh.start_sidecar("client")
    story.apps = {}
    for name in ENDPOINTS:
        story.mesh.start_sidecar(name, identity=WEB)
        story.apps[name] = story.own(StreamServer(story, story.mesh.net.hosts[name], 9000, "echo"))
    story.name_of = {story.mesh.net.hosts[name].ipv4: name for name in ENDPOINTS}
    wait_until("all endpoints to be used", lambda: _call(story) and len(_served(story)) == len(ENDPOINTS), 15, 0.05)


def _open(story):
    sock = story.mesh.client.connect(SERVICE, 80, uid=1000, timeout_s=20)
    sock.sendall(b"hello")
    expect_eq(stream.receive_exactly(sock, 5), b"hello", "echo")
    return sock


def _call(story):
    with _open(story):
        return True


def _served(story):
    """How many connections each endpoint has served and that have ended."""
    return collections.Counter(story.name_of[line["endpoint"].rsplit(":", 1)[0]]
                               for line in story.client.access_log(direction="outbound", destination=SERVICE + ":80"))


def _calls(story, num):
    before = _served(story)
    for _ in range(num):
        _call(story)
    wait_until("the access log", lambda: sum((_served(story) - before).values()) >= num)
    return _served(story) - before


def _set_aside(story):
    return {row["endpoint"] for row in story.client.admin("/tunnels")["endpoints_set_aside"]}


def shows_that_no_call_fails_and_the_failing_endpoint_is_named(story):
    story.apps["failing"].stop()
    at = "%s:9000" % story.mesh.failing.ipv4
    wait_until("the failing endpoint to be set aside", lambda: _call(story) and at in _set_aside(story), 15, 0.02)
    expect_eq(_calls(story, 40)["failing"], 0, "calls that the endpoint without an application served")
    expect_eq(story.client.access_log(reason="connect_refused"), [], "calls that failed")
    expect(story.client.metric("handfast_endpoint_ejections_total") >= 1, "the ejection is not counted")
    wait_until("the gauge of endpoints that are set aside",
               lambda: _call(story) and story.client.metric("handfast_endpoints_ejected") == 1, 15, 0.1)
    why = [entry for entry in story.client.admin("/why")["failures"] if entry["what"] == "endpoint"]
    expect_eq({(entry["remote"], entry["destination"]) for entry in why}, {(at, SERVICE + ":80")}, "endpoints in /why")
    text = story.mesh.client.run([story.binary("handfast"), "why"]).stdout
    expect(" endpoint outbound at %s to %s:80 (" % (at, SERVICE) in text, "handfast why: " + text)
    story.client.process.wait_for_log("the endpoint %s of %s:80 is set aside for 1 s" % (at, SERVICE))


@needs(shows_that_no_call_fails_and_the_failing_endpoint_is_named)
def shows_that_it_is_used_again_once_it_serves(story):
    before = _served(story)["failing"]
    story.apps["failing"] = story.own(StreamServer(story, story.mesh.failing, 9000, "echo"))
    wait_until("a call to the endpoint that had failed",
               lambda: _call(story) and _served(story)["failing"] > before, 60, 0.05)
    story.client.process.wait_for_log("serves again")
    wait_until("no endpoint to be set aside", lambda: _set_aside(story) == set())


def _is_relaying(story, name):
    return any(row["step"] == "relay" for row in story.mesh.sidecar(name).admin("/connections")["connections"])


def _open_at(story, name):
    """A connection that stays open at that endpoint."""
    for _ in range(100):
        wait_until("no connection at " + name, lambda: not _is_relaying(story, name))
        sock = _open(story)
        if _is_relaying(story, name):
            return sock
        sock.close()
    raise AssertionError("of 100 connections none went to " + name)


def shows_that_a_draining_endpoint_leaves_at_once_and_its_open_connection_goes_on(story):
    with _open_at(story, "leaving") as sock:
        story.mesh.sidecar("leaving").process.signal(signal.SIGTERM)
        started = time.monotonic()
        story.mesh.sidecar("leaving").process.wait_for_log("draining")
        wait_until("20 calls in a row to other endpoints", lambda: _calls(story, 20)["leaving"] == 0, 10, 0)
        took_s = time.monotonic() - started
        expect_eq(_calls(story, 60)["leaving"], 0, "calls to the endpoint that drains, %.2f s after SIGTERM" % took_s)
        for number in range(10):
            sock.sendall(b"still %d" % number)
            expect_eq(stream.receive_exactly(sock, 7), b"still %d" % number, "the connection that was open")
    expect_eq([line for line in story.client.access_log(direction="outbound") if line["reason"] != "done"], [],
              "calls that failed")
