"""Connections to a service stay in their caller's zone while enough of its endpoints serve there.

    client (zone east) -> 203.0.113.200:80 -> [sidecar] ==tunnel==> east1, east2 (zone east): [sidecar] -> app
                                                        ==tunnel==> west (zone west): [sidecar] -> app
    stranger (no zone), whim (zone east, outbound.prefer_zone false) -> 203.0.113.200:80 ==tunnels==> all of them
    all are spiffe://.../sa/web"""

import collections

from handfast_harness import Mesh, StreamServer, expect_eq, identity_of, needs_earlier, wait_until
from handfast_harness import stream

SERVICE, WEB = "203.0.113.200", identity_of("web")
ENDPOINTS = ("east1", "east2", "west")
CALLERS = ("client", "stranger", "whim")
DEADLINE_S = 240


def arrange(story):
    zones = {"client": "east", "whim": "east", "east1": "east", "east2": "east", "west": "west"}
    story.mesh = Mesh(story, hosts=CALLERS + ENDPOINTS, leaf_ttl="1h", start=False, services=[
        {"name": "web", "address": SERVICE, "ports": [{"port": 80, "target": 9000}], "identity": WEB}],
        sidecar={"access_log": "all"}, sidecars={name: {"zone": zone, "outbound": {"prefer_zone": name != "whim"}}
                                                 for name, zone in zones.items()})
    story.mesh.start_control()
    for name in CALLERS:
        story.mesh.start_sidecar(name)
    story.apps = {}
    for name in ENDPOINTS:
        story.mesh.start_sidecar(name, identity=WEB)
        _start_app(story, name)
    story.name_of = {story.mesh.net.hosts[name].ipv4: name for name in ENDPOINTS}
    wait_until("all endpoints to be known", lambda: set(_calls(story, "stranger", 4)) == set(ENDPOINTS), 20)
    wait_until("the endpoints of the own zone to be known", lambda: not _calls(story, "client", 4)["west"], 20)


def _start_app(story, name):
    story.apps[name] = story.own(StreamServer(story, story.mesh.net.hosts[name], 9000, "echo"))


def _served(story, caller):
    return collections.Counter(
        story.name_of[line["endpoint"].rsplit(":", 1)[0]]
        for line in story.mesh.sidecar(caller).access_log(direction="outbound", destination=SERVICE + ":80"))


def _calls(story, caller, num):
    """Makes so many calls; how many each endpoint served."""
    before = _served(story, caller)
    for _ in range(num):
        with story.mesh.net.hosts[caller].connect(SERVICE, 80, uid=1000, timeout_s=20) as sock:
            sock.sendall(b"hello")
            expect_eq(stream.receive_exactly(sock, 5), b"hello", "echo")
    wait_until("the access log", lambda: sum((_served(story, caller) - before).values()) >= num)
    return _served(story, caller) - before


def shows_that_calls_stay_in_the_zone_of_their_caller(story):
    def are_both_used():  # on a busy machine an endpoint is slow now and then, and gets fewer
        counts = _calls(story, "client", 40)
        expect_eq(counts["west"], 0, "calls to the other zone: %s" % counts)
        return set(counts) == {"east1", "east2"}
    wait_until("calls to both endpoints of the own zone", are_both_used, 20)


def shows_that_a_caller_without_a_zone_or_that_prefers_none_uses_all(story):
    for caller in ("stranger", "whim"):
        wait_until("calls to all endpoints", lambda: set(_calls(story, caller, 20)) == set(ENDPOINTS), 20, 0)


def shows_that_one_of_two_is_enough(story):
    story.apps["east1"].stop()
    counts = _calls(story, "client", 30)
    expect_eq(dict(counts), {"east2": 30}, "calls while one of two in the zone serves")


@needs_earlier
def shows_that_the_other_zone_is_used_when_none_serves_and_left_again(story):
    story.apps["east2"].stop()
    counts = _calls(story, "client", 10)
    expect_eq(dict(counts), {"west": 10}, "calls while none in the zone serves")
    for name in ("east1", "east2"):
        _start_app(story, name)
    wait_until("calls to return to the own zone", lambda: not _calls(story, "client", 5)["west"], 60, 0.2)


def shows_that_zones_outlive_a_restart_of_the_control_plane(story):
    story.mesh.control.restart()
    story.mesh.sidecar("client").restart()
    wait_until("calls to be in the own zone alone", lambda: not _calls(story, "client", 10)["west"], 30, 0.2)
