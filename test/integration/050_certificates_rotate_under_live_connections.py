"""Certificates of 5 s rotate under a long download and an open SQL session, and no byte is lost.

    client: a slow download, an open psql session -> [sidecar] ==tunnels==> server: [sidecar] -> a source, PostgreSQL
    raw: a peer that reads the server's certificate"""

import hashlib
import subprocess

from handfast_harness import Mesh, Postgres, StreamServer, TestAuthority, expect_eq, identity_of, needs_earlier
from handfast_harness import stream, wait_until
from peers import hbone

DEADLINE_S = 150
NUM_BYTES = 40_000_000


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="5s", outsiders=("raw",))
    story.postgres = story.own(Postgres(story, story.mesh.server))
    story.own(StreamServer(story, story.mesh.server, 9000, "source", num_bytes=NUM_BYTES, seed=3))


class _Sql:
    """An open psql session: one statement in, one answer out."""

    def __init__(self, story):
        argv = [story.postgres.bin + "/psql", "-h", story.mesh.server.ipv4, "-U", "postgres", "-AtqX"]
        self.process = subprocess.Popen(story.mesh.client.argv(argv, 65534), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1, cwd="/")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(5)
        self.process.stdout.close()

    def ask(self, statement):
        self.process.stdin.write(statement + ";\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


def shows_that_three_rotations_affect_neither_connection(story):
    client, server = story.mesh.sidecar("client"), story.mesh.sidecar("server")
    expected = hashlib.sha256(stream.pattern(NUM_BYTES, seed=3)).hexdigest()
    with _Sql(story) as sql, story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000) as download:
        session = sql.ask("select pg_backend_pid()")
        serials = {client.serial(): server.serial()}
        digest, total = hashlib.sha256(), 0
        while len(serials) < 4:
            wait_until("new certificates on both sides", lambda: client.serial() not in serials
                       and server.serial() not in serials.values(), 12, 0.1)
            serials[client.serial()] = server.serial()
            data = stream.receive_exactly(download, 1_000_000)
            digest.update(data)
            total += len(data)
            expect_eq(sql.ask("select pg_backend_pid()"), session, "PostgreSQL's process for the session")
        rest, ended = stream.receive_all(download)
        digest.update(rest)
        expect_eq((total + len(rest), digest.hexdigest(), ended), (NUM_BYTES, expected, "fin"), "the download")
    for name, sidecar in (("client", client), ("server", server)):
        bad = [line for line in sidecar.access_log() if line["reason"] != "done"]
        expect_eq(bad, [], "connections of %s with another reason than done" % name)


def shows_that_new_tunnels_carry_new_certificates(story):
    leaf = TestAuthority.of(story.mesh.control).leaf(identity_of("client"))
    seen = set()

    def of_a_tunnel():
        """Its serial, if it is the one on /certs: the workers get a certificate a moment after that page."""
        before = story.mesh.sidecar("server").serial()
        with hbone.Client(story.mesh.raw, story.mesh.server.ipv4, leaf) as tunnel:
            serial = tunnel.tls.peer_serial()
        return serial in (before, story.mesh.sidecar("server").serial()) and serial

    for _ in range(2):
        seen.add(wait_until("a tunnel with the certificate on /certs", of_a_tunnel, 2))
        story.mesh.sidecar("server").wait_for_rotation()
    expect_eq(len(seen), 2, "different certificates on two tunnels")


@needs_earlier
def shows_that_old_tunnels_close_and_no_old_identity_is_in_use(story):
    client = story.mesh.sidecar("client")
    wait_until("tunnels of old certificates to end, and no old identity to be in use", lambda: client.metric(
        "handfast_tunnels_open") <= 1 and client.metric("handfast_identity_oldest_in_use_seconds") < 10, 15)
