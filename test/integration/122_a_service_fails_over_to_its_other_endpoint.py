"""Calls to a service of two endpoints succeed while one endpoint fails: its application is down, or its host has
vanished.

    client -> 203.0.113.200:80 -> [sidecar] ==tunnel==> one: [sidecar] -> app (stopped; then the host is disconnected)
                                            ==tunnel==> two: [sidecar] -> app    both are spiffe://.../sa/web

Rows: P8."""

import concurrent.futures
import time

from handfast_harness import Mesh, StreamServer, expect, expect_eq, identity_of, needs, wait_until
from handfast_harness import stream

DEADLINE_S = 240
SERVICE, WEB = "203.0.113.200", identity_of("web")
CALLS = 100
CONNECT_S = 5
QUESTION = b"a question"


def arrange(story):
    story.mesh = Mesh(story, hosts=("client", "one", "two"), leaf_ttl="1h", start=False, services=[
        {"name": "web", "address": SERVICE, "ports": [{"port": 80, "target": 8080}], "identity": WEB}],
        sidecars={"client": {"timeouts": {"connect": "%ds" % CONNECT_S}}})
    story.mesh.start_control()
    story.client = story.mesh.start_sidecar("client")
    story.apps = {}
    for name in ("one", "two"):
        story.mesh.start_sidecar(name, identity=WEB)
        story.apps[name] = _app(story, name)
    _wait_for_both(story)


def _app(story, name):
    return story.own(StreamServer(story, story.mesh.net.hosts[name], 8080, "hash"))


def _call(story, data=QUESTION):
    """(whether the answer is correct, seconds it took)"""
    started = time.monotonic()
    try:
        with story.mesh.client.connect(SERVICE, 80, uid=1000, timeout_s=30) as sock:
            got = stream.exchange(sock, data)
    except OSError as error:
        got = error
    return got == (stream.sha256(data).encode() + b"\n", "fin"), time.monotonic() - started


def _num_calls(story, name):
    return len(story.apps[name].reports())


def _num_other_calls(story, name):
    """Without those of _wait_for_both(), whose last reports may come later."""
    return sum(report["received_sha256"] != stream.sha256(QUESTION) for report in story.apps[name].reports())


def _wait_for_both(story, deadline_s=60):  # one that failed is set aside for up to 30 s
    seen = {name: _num_calls(story, name) for name in story.apps}
    wait_until("both endpoints to be used", lambda: _call(story)[0] and all(
        _num_calls(story, name) > before for name, before in seen.items()), deadline_s, 0.1)


def finding_p8_no_call_fails_while_the_application_of_one_is_down(story):
    story.apps["one"].stop()
    before = _num_other_calls(story, "two")
    for number in range(CALLS):  # most calls with as many bytes as are buffered, some with more
        size = (1, 1000, 30_000, 200_000)[number % 4]
        expect(_call(story, stream.pattern(size, number))[0], "call %d with %d bytes failed" % (number, size))
    wait_until("reports", lambda: _num_other_calls(story, "two") >= before + CALLS)
    expect_eq(_num_other_calls(story, "two") - before, CALLS, "connections at the other endpoint: each once")
    expect_eq(story.client.access_log(reason="connect_refused"), [], "refusals")
    expect(story.client.metric("handfast_endpoint_retries_total") >= 1, "no retry at another endpoint was counted")


@needs(finding_p8_no_call_fails_while_the_application_of_one_is_down)
def finding_p8_the_failed_endpoint_is_used_again(story):
    story.apps["one"] = _app(story, "one")
    _wait_for_both(story)


def _cut_off(story, name):
    """As a host that loses power: no packets leave it or reach it."""
    host = story.mesh.net.hosts[name]
    host.ip("link set eth0 down")
    story.mesh.net.router.ip("route add blackhole %s/32" % host.ipv4)


def finding_p8_a_vanished_host_gets_no_new_calls_after_two_silent_seconds(story):
    _cut_off(story, "one")
    cut = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        calls = []
        while time.monotonic() < cut + 6 or sum(at_s > 3 for at_s, _ in calls) < 20:
            calls.append((time.monotonic() - cut, pool.submit(_call, story)))
            time.sleep(0.1)  # duration: the rate of the calls
        outcomes = [(at_s, *call.result()) for at_s, call in calls]
    late = [outcome for outcome in outcomes if outcome[0] > 3]
    expect(len(late) >= 20 and all(right and took_s < 2 for _, right, took_s in late), "calls from 3 s on: %s" % late)
    lost = [outcome for outcome in outcomes if not outcome[1]]
    expect(all(took_s < CONNECT_S + 3 for _, _, took_s in lost), "calls that were lost: %s" % lost)


@needs(finding_p8_a_vanished_host_gets_no_new_calls_after_two_silent_seconds)
def finding_p8_a_call_without_a_tunnel_to_the_vanished_host_goes_to_the_other_endpoint(story):
    story.client.restart()
    outcomes = [_call(story) for _ in range(20)]
    expect(all(right for right, _ in outcomes), "calls: %s" % outcomes)
    slow = [took_s for _, took_s in outcomes if took_s > 1.5]
    expect(len(slow) <= 3 and all(took_s < 4 for took_s in slow), "slow calls: %s" % slow)
