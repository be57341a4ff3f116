"""MariaDB, PostgreSQL, Redis, memcached and etcd pass between strict hosts, with the clients that they come with.

    client: mariadb, psql, redis-cli, memcp, etcdctl -> [sidecar] ==tunnel==> server: [sidecar] -> the servers
    etcd: a member on each host"""

import os
import pwd

from handfast_harness import Postgres, Redis, WebPki, carried, expect_eq, expect_in, seen_address, servers, strict_mesh

DEADLINE_S = 240


def arrange(story):
    story.mesh = strict_mesh(story)
    story.client, story.server = story.mesh.client, story.mesh.server


def shows_that_mariadb_passes(story):
    servers.mariadb(story, story.server, sql="CREATE DATABASE d;\nCREATE USER app IDENTIFIED BY 'p';\nGRANT ALL ON d.* TO app;\n")
    with carried(story.mesh, 3306) as marker:
        done = story.client.run(["mariadb", "--no-defaults", "-h", story.server.ipv4, "-u", "app", "-pp", "-N", "-B", "d", "-e",
                                 "create table t (x text); insert into t values ('%s'); select x, user() from t" % marker], uid=1000)
        expect_eq(done.stdout, "%s\tapp@%s\n" % (marker, seen_address(story.mesh)), "the row, and the address that MariaDB sees")


def shows_that_postgresql_passes_with_and_without_tls_of_its_own(story):
    pki = WebPki(story.folder("pki"), "the database's authority")
    os.chmod(pki.path("ca.crt"), 0o644)
    pki.issue("db", ["server"], uid=pwd.getpwnam("postgres").pw_uid)
    story.own(Postgres(story, story.server, settings=["ssl=on", "ssl_cert_file=" + pki.path("db.crt"), "ssl_key_file=" + pki.path("db.key")]))
    for options, version in (("sslmode=disable", ""), ("sslmode=verify-full sslrootcert=" + pki.path("ca.crt"), "TLSv1.3")):
        with carried(story.mesh, 5432) as marker:
            target = "host=server hostaddr=%s user=postgres %s" % (story.server.ipv4, options)
            done = story.client.run(["psql", target, "-AtqX", "-c", "select '%s', version from pg_stat_ssl where pid = pg_backend_pid()" %
                                     marker], uid=65534, cwd="/", env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
            expect_eq(done.stdout, "%s|%s\n" % (marker, version), "the answer with " + options)


def shows_that_redis_passes(story):
    story.own(Redis(story, story.server))
    ask = lambda *words: story.client.run(["redis-cli", "-h", story.server.ipv4, *words], uid=1000).stdout.strip()
    with carried(story.mesh, 6379) as marker:
        expect_eq((ask("set", "key", marker), ask("get", "key")), ("OK", marker), "the answers of Redis")


def shows_that_memcached_passes(story):
    servers.memcached(story, story.server)
    with carried(story.mesh, 11211) as marker:
        path = story.folder("memcached-file") + "/key"
        with open(path, "w") as file:
            file.write(marker)
        at = "--servers=%s:11211" % story.server.ipv4
        story.client.run(["memccp", at, path], uid=1000)
        expect_eq(story.client.run(["memccat", at, "key"], uid=1000).stdout.strip(), marker, "what memcached kept")


def shows_that_etcd_passes_and_its_members_find_each_other(story):
    with carried(story.mesh, 2379) as marker:
        servers.etcd_pair(story, (story.client, story.server))
        ask = lambda *words: story.client.run(["etcdctl", "--endpoints", "http://%s:2379" % story.server.ipv4, *words], uid=1000,
                                              env={"ETCDCTL_API": "3", "PATH": "/usr/bin"}).stdout
        expect_in("OK", ask("put", "key", marker), "the answer to a put")
        expect_eq(ask("get", "--print-value-only", "key").strip(), marker, "what etcd kept")
        expect_eq(ask("member", "list").count("started"), 2, "members that have started")
