"""nginx, Redis and PostgreSQL work between two hosts without a sidecar.

    a: curl, redis-cli, psql, nc --- router --- b: nginx :80, redis :6379, postgres :5432

The behavior of these programs here is the reference for their behavior through the mesh."""

from handfast_harness import Nginx, Postgres, Redis, expect_eq, expect_in
from handfast_harness import stream


def arrange(story):
    story.net = story.topology("a", "b")


def shows_that_curl_fetches_a_large_file_from_nginx(story):
    net, data = story.net, stream.pattern(2_000_000)
    story.own(Nginx(story, net.b, 80, {"large": data}))
    target = story.folder("curl") + "/large"
    net.a.run(["curl", "-sS", "-m", "10", "-o", target, "http://b/large"])
    with open(target, "rb") as file:
        expect_eq(stream.sha256(file.read()), stream.sha256(data), "hash of the file")


def shows_that_redis_keeps_a_value(story):
    net = story.net
    story.own(Redis(story, net.b))
    expect_eq(net.a.run(["redis-cli", "-h", net.b.ipv6, "set", "k", "v"], uid=1000).stdout.strip(), "OK", "set")
    expect_eq(net.a.run(["redis-cli", "-h", "b", "get", "k"], uid=1000).stdout.strip(), "v", "get")


def shows_that_postgres_answers(story):
    net = story.net
    postgres = story.own(Postgres(story, net.b))
    expect_eq(postgres.psql(net.a, "b", "select sum(n) from generate_series(1, 1000) n"), "500500", "sum")


def shows_that_nc_half_closes_and_still_reads(story):
    net = story.net
    story.own(stream.Server(story, net.b, 9000, "hash"))
    done = net.a.run(["nc", "-N", "-w", "5", "b", "9000"], input="some bytes")
    expect_in(stream.sha256(b"some bytes"), done.stdout, "the answer that comes after our FIN")
