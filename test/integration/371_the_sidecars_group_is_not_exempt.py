"""A user in the sidecar's group starts a program of that group (setgid): its connections are intercepted as any other's.

    client: [sidecar, outbound require]   a user with 1337 among its supplementary groups, and a volume of that group,
                                          as kubelet makes one for fsGroup: 1337
    stranger: a server without a sidecar

The sidecar refuses what goes to the stranger: what arrives there went around it."""

import os

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, needs

DEADLINE_S = 180
GROUP = 1337
SETGID_COPY = """cp /usr/bin/python3 %(path)s && chgrp 1337 %(path)s && chmod 2755 %(path)s"""
DIAL = """
import os, socket, sys
print("gids", *os.getresgid(), flush=True)
sock = socket.create_connection((sys.argv[1], 9000), 2)
sock.sendall(b"hello")
sock.shutdown(socket.SHUT_WR)
print("got", sock.recv(100), flush=True)
"""


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), outsiders=("stranger",), leaf_ttl="1h",
                      sidecars={"client": {"outbound": {"mode": "require"}}})
    story.own(StreamServer(story, story.mesh.stranger, 9000, "echo"))
    story.volume = story.folder("volume")
    os.chown(story.volume, 0, GROUP)
    os.chmod(story.volume, 0o2777)
    story.copy = os.path.join(story.volume, "python")


def _as_member(story, argv):
    """By a process without a capability whose own user and group are others."""
    done = story.mesh.client.run(["setpriv", "--reuid", "1000", "--regid", "1000", "--groups", str(GROUP),
                                  "--bounding-set=-all", "--inh-caps=-all", *argv], check=False)
    return done.returncode, done.stdout + done.stderr


def _dials(story, program, address):
    return _as_member(story, [program, "-c", DIAL, address])


def shows_that_the_members_own_programs_are_intercepted(story):
    for address in (story.mesh.stranger.ipv4, story.mesh.stranger.ipv6):
        code, text = _dials(story, "/usr/bin/python3", address)
        expect(code != 0 and "got b'hello'" not in text, "the stranger answered past the sidecar: " + text)


@needs(shows_that_the_members_own_programs_are_intercepted)
def shows_that_D35_a_program_of_the_sidecars_group_is_too(story):
    code, text = _as_member(story, ["sh", "-c", SETGID_COPY % {"path": story.copy}])
    expect_eq(code, 0, "a setgid copy in the volume: " + text)
    for address in (story.mesh.stranger.ipv4, story.mesh.stranger.ipv6):
        code, text = _dials(story, story.copy, address)
        expect_in("gids 1000 1337 1337", text, "the gids of the copy, which make its sockets")
        expect(code != 0 and "got b'hello'" not in text, "the stranger answered past the sidecar: " + text)


def shows_that_check_proves_it_and_finds_the_rules_of_an_earlier_release(story):
    init, client = story.binary("handfast-init"), story.mesh.client
    expect_in("gid_alone_ipv4", client.run([init, "check"]).stdout, "what check proves")
    for chain, verdict in (("outbound", "return"), ("outbound_guard", "accept")):
        client.run(["nft", "insert", "rule", "inet", "handfast", chain, "meta", "skgid", "1337", verdict])
    done = client.run([init, "check"], check=False)
    expect_eq(done.returncode, 1, "check with the former rules: " + done.stdout + done.stderr)
    expect_in("gid 1337 of another user left", done.stderr, "its reason")
    client.run([init, "up"])
    client.run([init, "check"])
