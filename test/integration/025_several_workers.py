"""With three workers on each side many concurrent connections are all served, whichever worker accepts them.

    client: 200 connections at once -> [sidecar, 3 workers] ==tunnels==> server: [sidecar, 3 workers] -> a hasher"""

import concurrent.futures

from handfast_harness import Mesh, StreamServer, expect, expect_eq, needs
from handfast_harness import stream

NUM = 200


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h", workers=3)
    story.own(StreamServer(story, story.mesh.server, 9000, "hash"))


def shows_that_each_of_200_at_once_gets_its_own_answer(story):
    sockets = [story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000, timeout_s=20) for _ in range(NUM)]

    def exchange(number):
        data = stream.pattern(10_000, seed=number)
        with sockets[number] as sock:
            received, ended = stream.exchange(sock, data)
        return (received.strip().decode(), ended) == (stream.sha256(data), "fin")

    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        expect_eq(sum(pool.map(exchange, range(NUM))), NUM, "connections with the right hash and a clean end")


@needs(shows_that_each_of_200_at_once_gets_its_own_answer)
def shows_that_each_worker_has_tunnels_of_its_own(story):
    opened = story.mesh.sidecar("client").metric('handfast_tunnels_opened_total{direction="outbound"}')
    expect(2 <= opened <= 12, "%d tunnels for three workers" % opened)
    for name, direction in (("client", "outbound"), ("server", "inbound")):
        expect_eq(story.mesh.sidecar(name).metric('handfast_streams_total{direction="%s"}' % direction), NUM,
                  "streams counted by " + name)
