"""Both pods of a service are restarted one after the other under load, and no call fails.

    client: 40 calls per second -> 203.0.113.200:80 ==tunnel==> one: [sidecar] -> echo   SIGTERM to both processes of a
                                                    ==tunnel==> two: [sidecar] -> echo   pod at once, then the next pod

A draining sidecar reports that to the control plane; callers get the other endpoint before anything is refused.

Rows: P14."""

import contextlib
import signal

from handfast_harness import Mesh, StreamServer, expect, expect_eq, identity_of, wait_until
from handfast_harness import stream
from handfast_harness.load import Load

SERVICE, WEB, PODS = "203.0.113.200", identity_of("web"), ("one", "two")
DEADLINE_S = 300


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",) + PODS, leaf_ttl="1h", start=False,
                      sidecar={"drain_minimum": "1s", "drain_deadline": "3s"},
                      services=[{"name": "web", "address": SERVICE, "ports": [{"port": 80, "target": 9000}],
                                 "identity": WEB}])
    story.mesh.start_control()
    story.mesh.start_sidecar("client")
    story.apps = {}
    for name in PODS:
        _start_app(story, name)
        story.mesh.start_sidecar(name, identity=WEB)
    _wait_for_both(story)


def _start_app(story, name):
    story.apps[name] = story.own(StreamServer(story, story.mesh.net.hosts[name], 9000, "echo", wind_down=0.6))


def _call(story, sock=None):
    with sock or story.mesh.client.connect(SERVICE, 80, uid=1000) as sock:
        sock.sendall(b"hello")
        expect_eq(stream.receive_exactly(sock, 5), b"hello", "echo")


def _num_calls(story, name):
    return len(story.mesh.sidecar(name).access_log(direction="inbound"))


def _wait_for_both(story):
    """Waits until calls reach either pod."""
    before = {name: _num_calls(story, name) for name in PODS}

    def reached():
        _call(story)
        return all(_num_calls(story, name) > before[name] for name in PODS)
    wait_until("calls to reach both pods", reached, 60)  # one that failed is set aside for up to 30 s


def _restart(story, name):
    """As kubelet does: both processes get SIGTERM at the same time."""
    sidecar, app = story.mesh.sidecar(name), story.apps[name]
    app.signal(signal.SIGTERM)
    sidecar.process.signal(signal.SIGTERM)
    expect_eq(sidecar.process.wait_for_exit(10), 0, "exit code of the sidecar of %s" % name)
    app.wait_for_exit(10)
    _start_app(story, name)
    sidecar.start()
    _wait_for_both(story)


def _restart_both(story):
    with Load(story.mesh.client, SERVICE, 80, num_clients=0, new_per_second=40) as load:
        load.wait_for_requests()
        for name in PODS:
            _restart(story, name)
        load.wait_for_requests()
    expect_eq(load.failures, [], "failed calls of %d" % load.num_connections)


def _wait_until_the_control_plane_has_it(story, name):
    output = "draining: %s at %s" % (WEB, story.mesh.net.hosts[name].ipv4)
    wait_until("the control plane to log that %s drains" % name, lambda: output in story.mesh.control.log(), 15)


def finding_p14_callers_leave_a_draining_endpoint_at_once(story):
    story.mesh.sidecar("one").command("drain")
    _wait_until_the_control_plane_has_it(story, "one")

    def all_go_to_the_other():
        before = _num_calls(story, "one")
        for _ in range(10):
            _call(story)
        return _num_calls(story, "one") == before
    wait_until("calls to go to the other pod only", all_go_to_the_other, 10)
    story.mesh.sidecar("two").command("drain")  # the only other endpoint: now both are in the answer
    _wait_until_the_control_plane_has_it(story, "two")
    for _ in range(20):
        _call(story)
    for name in PODS:
        story.mesh.sidecar(name).restart()
    _wait_for_both(story)


def finding_p14_a_rolling_restart_fails_no_call(story):
    _restart_both(story)


def finding_p14_a_rolling_restart_with_long_connections_fails_no_call(story):
    with contextlib.ExitStack() as stack:
        before = {name: len(story.mesh.sidecar(name).admin("/connections")["connections"]) for name in PODS}

        def one_in_each():
            sock = stack.enter_context(story.mesh.client.connect(SERVICE, 80, uid=1000))
            sock.sendall(b"x")
            expect_eq(stream.receive_exactly(sock, 1), b"x", "echo")
            return all(len(story.mesh.sidecar(name).admin("/connections")["connections"]) > before[name]
                       for name in PODS)
        wait_until("a long connection in each pod", one_in_each, 60)
        _restart_both(story)
    expect(story.mesh.sidecar("client").access_log(reason="no_endpoint") == [], "a caller had no endpoint")
