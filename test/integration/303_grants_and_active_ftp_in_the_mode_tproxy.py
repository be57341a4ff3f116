"""In mode tproxy, MariaDB's grants by host, active FTP and Redis' replicas work unchanged, between strict hosts.

    client, other: mariadb, curl, a replica -> [sidecar] ==tunnel==> server: [sidecar, mode tproxy] -> MariaDB, vsftpd, Redis
    client: [sidecar] <==tunnel== server: the data connections of active FTP"""

from handfast_harness import Redis, carried, expect_eq, expect_in, identity_of, servers, strict_mesh, stream, wait_until

DEADLINE_S = 180
LARGE = stream.pattern(2_000_000)


def arrange(story):
    story.mesh = strict_mesh(story, hosts=("client", "other", "server"), tproxy=("server",))
    story.client, story.server = story.mesh.client, story.mesh.server


def finding_p9_mariadb_grants_by_host(story):
    servers.mariadb(story, story.server, sql="CREATE USER app@'%s' IDENTIFIED BY 'p';\nCREATE USER app@'%s' IDENTIFIED BY 'p';\n" %
                    (story.client.ipv4, story.client.ipv6))
    ask = lambda host, address, sql: host.run(["mariadb", "--no-defaults", "-h", address, "-u", "app", "-pp", "-N", "-B", "-e", sql],
                                              uid=1000, check=False)
    with carried(story.mesh, 3306) as marker:
        done = ask(story.client, story.server.ipv4, "select current_user(), '%s'" % marker)
        expect_eq(done.stdout, "app@%s\t%s\n" % (story.client.ipv4, marker), "the user that the grant is for: " + done.stderr)
    done = ask(story.client, story.server.ipv6, "select current_user()")
    expect_eq(done.stdout, "app@%s\n" % story.client.ipv6, "the user that the grant is for: " + done.stderr)
    expect_in("Host '%s' is not allowed to connect" % story.mesh.other.ipv4, ask(story.mesh.other, story.server.ipv4, "select 1").stderr,
              "the answer to a host without a grant")


def finding_p9_redis_replicas_have_their_own_addresses(story):
    story.own(Redis(story, story.server, options=["--repl-diskless-sync-delay", "0"]))
    ask = lambda host, *words: host.run(["redis-cli", *words], uid=1000).stdout
    with carried(story.mesh, 6379) as marker:
        with Redis(story, story.client, options=["--replicaof", story.server.ipv4, "6379"]) as replica:
            replica.wait_until("the replica to be in sync", lambda: "master_link_status:up" in ask(story.client, "info", "replication"), 30)
            ask(story.server, "set", "key", marker)
            replica.wait_until("the key at the replica", lambda: ask(story.client, "get", "key").strip() == marker)
            expect_in("slave0:ip=%s,port=6379" % story.client.ipv4, ask(story.server, "info", "replication"), "the list of replicas")


def finding_p9_active_ftp_passes(story):
    server, client = servers.ftp(story, story.server, {"large": LARGE}), story.mesh.sidecar("client")
    for ways in ([], ["--disable-eprt"]):  # EPRT, PORT
        before = len(client.access_log(direction="inbound"))
        with carried(story.mesh, 21) as marker:
            expect_eq(servers.ftp_both_ways(server, story.client, marker, "-P", "-", *ways), len(LARGE), "the bytes that came")
        lines = wait_until("a data connection in the access log", lambda: client.access_log(direction="inbound")[before:], 10)
        expect_eq({(line["encrypted"], line["source_id"]) for line in lines}, {(True, identity_of("server"))}, "the server's data connections")
