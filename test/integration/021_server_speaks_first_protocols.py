"""Server-speaks-first protocols, databases and silent connections work without port lists or protocol detection.

    client: psql, a Redis client, sockets -> [sidecar] ==tunnel==> server: [sidecar] -> PostgreSQL, Redis, a greeter"""

import time

from handfast_harness import Mesh, Postgres, Redis, StreamServer, expect, expect_eq
from handfast_harness import stream


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h")
    story.server = story.mesh.server
    story.postgres = story.own(Postgres(story, story.server))
    story.own(Redis(story, story.server))
    story.own(StreamServer(story, story.server, 25, "greet"))
    story.own(StreamServer(story, story.server, 7, "echo"))


def shows_that_sql_works(story):
    ask = lambda sql: story.postgres.psql(story.mesh.client, story.server.ipv4, sql)
    expect_eq(ask("select 6 * 7"), "42", "an answer of PostgreSQL")
    expect_eq(ask("select inet_client_addr()"), "169.254.15.6", "the client address that PostgreSQL sees")
    expect_eq(ask("select count(*), sum(length(x)) from (select repeat('y', 1000) x from generate_series(1, 3000)) t"),
              "3000|3000000", "an aggregate")


def shows_that_redis_works(story):
    with story.mesh.client.connect(story.server.ipv4, 6379, uid=1000) as sock:
        sock.sendall(b"SET key value\r\nGET key\r\n")
        expect_eq(stream.receive_exactly(sock, 16), b"+OK\r\n$5\r\nvalue\r\n", "Redis' answers")


def shows_that_a_servers_greeting_comes_at_once(story):
    with story.mesh.client.connect(story.server.ipv4, 25, uid=1000) as first:
        stream.receive_exactly(first, 11)  # the tunnel is open now
    started = time.monotonic()
    with story.mesh.client.connect(story.server.ipv4, 25, uid=1000) as sock:
        expect_eq(stream.receive_exactly(sock, 11), b"220 ready\r\n", "greeting")
        took = time.monotonic() - started
        expect_eq(stream.exchange(sock, b"HELO x\r\n"), (b"HELO x\r\n", "fin"), "the rest")
    expect(took < 2, "the greeting took %.2f s" % took)


def shows_that_a_silent_connection_stays_open_among_busy_ones(story):
    with story.mesh.client.connect(story.server.ipv4, 7, uid=1000) as silent:
        for _ in range(100):
            with story.mesh.client.connect(story.server.ipv4, 7, uid=1000) as busy:
                expect_eq(stream.exchange(busy, b"x" * 1000), (b"x" * 1000, "fin"), "a busy one")
        expect_eq(stream.exchange(silent, b"at last"), (b"at last", "fin"), "the silent one")
