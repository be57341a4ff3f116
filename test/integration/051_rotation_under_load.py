"""Twelve rotations of 5-second certificates under load: nothing fails, nothing is reset, every hash is correct.

    client: 50 keep-alive clients, 20 new connections per second, 5 long streams -> [sidecar] ==tunnels==> server

test/soak/rotation.py is the long form of this."""

from handfast_harness import expect, expect_eq, needs
from soak import rotation

DEADLINE_S = 240
SIZE = rotation.Size(num_rotations=12, num_clients=50, new_per_second=20, num_streams=5, stream_bytes=20_000_000)


def arrange(story):
    story.mesh = rotation.arrange(story)


def shows_that_no_request_fails(story):
    load, serials = rotation.run(story, story.mesh, SIZE)
    expect_eq(load.failures, [], "failures")
    expect_eq({name: len(own) for name, own in serials.items()}, {"client": 13, "server": 13}, "certificates used")
    expect(load.num_connections > 200, "only %d new connections were made" % load.num_connections)
    expect(load.num_streams >= 5, "only %d streams were finished" % load.num_streams)


@needs(shows_that_no_request_fails)
def shows_that_every_connection_ended_in_order(story):
    for sidecar in story.mesh.sidecars.values():
        bad = [line for line in sidecar.access_log() if line["reason"] != "done"]
        expect_eq(bad[:3], [], "connections of %s with another reason than done" % sidecar.name)
