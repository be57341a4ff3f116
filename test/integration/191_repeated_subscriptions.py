"""One identity subscribes the same large service repeatedly; others are not affected.

    greedy: a genuine certificate, any number of messages -> control <- client: [sidecar]

Rows: L6."""

import ipaddress

from handfast_harness import Mesh, expect_eq, fairness, identity_of
from handfast_harness.certificates import Identity
from peers.enrollment import Enrollment, Refused, field, fields, new_key, read_token

GREEDY, LARGE = identity_of("greedy"), identity_of("large")
DISCOVERY = "/handfast.v1.Discovery/Stream"
HELLO = field(1, field(1, 1) + field(3, b"peer"))
SERVICE, PORT, ENDPOINTS = "203.0.113.1", 80, 1000

DEADLINE_S = 300


def arrange(story):
    first = int(ipaddress.ip_address("2001:db8:1::"))
    entries = [{"address": str(ipaddress.ip_address(first + i)), "identity": LARGE} for i in range(ENDPOINTS)]
    service = {"name": "large", "address": "2001:db8::5", "identity": LARGE, "ports": [{"port": PORT, "target": PORT}]}
    story.mesh = Mesh(story, hosts=("client",), outsiders=("greedy",), leaf_ttl="1h", entries=entries, services=[service])
    token, leaf_key = read_token(story.mesh.control.token(GREEDY)), new_key()
    with _control(story, None) as control:
        story.leaf = Identity(leaf_key, control.attest(token, leaf_key=leaf_key).chain)


def _control(story, leaf):
    return Enrollment(story.mesh.greedy, story.mesh.control.host.ipv4, leaf)


def _ask_again(story, count, ending):
    one = field(1, field(1, ipaddress.ip_address("2001:db8::5").packed) + field(2, PORT))
    messages = [field(2, one * 1024)] * 2
    while not ending():
        try:
            with _control(story, story.leaf) as control:
                control.talk(DISCOVERY, [HELLO, *messages], lambda down: 2 in dict(fields(down)))
                count(len(messages))
        except (Refused, OSError):
            count(1)


def finding_l6_repeated_subscriptions_do_not_affect_others(story):
    control = story.mesh.control
    ready = "http://%s:15014/healthz/ready" % control.host.ipv4

    def ask():
        expect_eq(story.mesh.greedy.http(ready)[0], 200, "readiness of the control plane")
    fairness.expect_unharmed("repeated subscriptions", {"control plane": ask}, lambda: fairness.Attack(
        *[lambda count, ending: _ask_again(story, count, ending)] * 2), fairness.wait_for_count(8),
        seconds=2.0, per_second=30, least_p99_s=0.03)
    expect_eq(story.mesh.sidecar("client").metric("handfast_control_plane_connected"), 1, "the client's connection")
