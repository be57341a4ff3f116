"""One identity subscribes tens of thousands of destinations and changes its address in a loop; others are not affected.

    greedy: a genuine certificate, any number of connections -> control <- client: [sidecar]

And a certificate that did not come from an attestation claims no address.

Rows: L6, L10."""

import ipaddress
import itertools

from handfast_harness import Mesh, TestAuthority, expect, expect_eq, expect_in, fairness, identity_of, wait_until
from handfast_harness.certificates import Identity
from peers.enrollment import Enrollment, Refused, field, fields, new_key, read_token

DEADLINE_S = 300
GREEDY = identity_of("greedy")
DISCOVERY, IDENTITY = "/handfast.v1.Discovery/Stream", "/handfast.v1.Identity/Stream"
HELLO, CLAIM, RELEASE = field(1, field(1, 1) + field(3, b"peer")), field(4, b""), field(5, b"")
RESOURCE_EXHAUSTED = "8"


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), outsiders=("greedy",), leaf_ttl="1h")
    token, leaf_key = read_token(story.mesh.control.token(GREEDY)), new_key()
    with _control(story, None) as control:
        story.leaf = Identity(leaf_key, control.attest(token, leaf_key=leaf_key).chain)


def _control(story, leaf):
    return Enrollment(story.mesh.greedy, story.mesh.control.host.ipv4, leaf)


def _subscriptions(first):
    """Four messages of 1,024 destinations each: as many as one stream accepts at once."""
    base = int(ipaddress.ip_address("203.0.113.0"))
    for number in range(4):
        destinations = (field(1, field(1, (base + i % 256).to_bytes(4, "big")) + field(2, 1 + i // 256))
                        for i in range(first + number * 1024, first + (number + 1) * 1024))
        yield field(2, b"".join(destinations))


def _be_greedy(story, count, ending):
    for round_number in itertools.count():
        if ending():
            return
        try:
            with _control(story, story.leaf) as control:
                for stream in range(2):
                    first = (round_number * 2 + stream) * 4096 % 1_000_000
                    control.talk(DISCOVERY, [HELLO, *_subscriptions(first)], lambda down: 2 in dict(fields(down)))
                    count(4096)
                control.talk(IDENTITY, [HELLO] + [CLAIM, RELEASE] * 100, lambda down: False)
        except (Refused, OSError):
            count(1)


def finding_l6_changes_of_an_address_in_a_loop_end_the_stream(story):
    with _control(story, story.leaf) as control:
        try:
            control.talk(IDENTITY, [HELLO] + [CLAIM, RELEASE] * 100, lambda down: False)
            ended = "no end"
        except Refused as refused:
            ended = str(refused)
    expect_in("'grpc-status': '%s'" % RESOURCE_EXHAUSTED, ended, "how the stream ended")
    expect(story.mesh.control.metrics()["handfast_control_changes_limited_total"] >= 1, "it was not counted")


def finding_l6_other_identities_are_not_affected(story):
    control = story.mesh.control
    ready = "http://%s:15014/healthz/ready" % control.host.ipv4

    def ask():
        expect_eq(story.mesh.greedy.http(ready)[0], 200, "readiness of the control plane")
    fairness.expect_unharmed("greedy subscriptions", {"control plane": ask}, lambda: fairness.Attack(
        *[lambda count, ending: _be_greedy(story, count, ending)] * 3), fairness.wait_for_count(8192, 30),
        seconds=2.0, per_second=30, least_p99_s=0.03)
    expect_eq(story.mesh.sidecar("client").metric("handfast_control_plane_connected"), 1, "the client's connection")


def finding_l10_status_lists_each_address_by_its_key(story):
    wanted = {story.mesh.client.ipv4, story.mesh.client.ipv6}
    wait_until("both addresses of the client to be in status", lambda: all(
        address in story.mesh.control.run("status").stdout for address in wanted), 10)


def finding_l10_a_certificate_without_an_attestation_claims_nothing(story):
    stranger = identity_of("never-attested")
    leaf = TestAuthority.of(story.mesh.control).leaf(stranger)
    with _control(story, leaf) as control:
        down = control.talk(IDENTITY, [HELLO, CLAIM], lambda message: 4 in dict(fields(message)))
    result = dict(fields(dict(down)[4]))
    expect_in(b"the SVID is of unknown origin", result.get(2, b""), "the claim's result")
    expect(stranger not in story.mesh.control.run("status").stdout, "it is in status")
    story.mesh.control.process.wait_for_log("claim refused: %s" % stranger)  # in the audit log
