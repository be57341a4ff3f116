"""Keys and tokens do not appear in logs, command lines, environments, pages, or the memory of another process.

    control: network process | signer (the only one with the authorities' keys)
    client: [sidecar]"""

import os

from cryptography.hazmat.primitives import serialization

from handfast_harness import Mesh, StreamServer, expect, expect_eq
from handfast_harness import stream

DEADLINE_S = 150


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="5s")
    story.own(StreamServer(story, story.mesh.server, 80, "echo"))
    for sidecar in story.mesh.sidecars.values():
        sidecar.wait_for_rotation()
    with story.mesh.client.connect(story.mesh.server.ipv4, 80, uid=1000) as sock:
        stream.exchange(sock, b"x")
    story.network = story.mesh.control.process.pid
    with open("/proc/%d/task/%d/children" % (story.network, story.network)) as file:
        story.signer, = map(int, file.read().split())
    story.sidecars = {sidecar.name: sidecar.process.pid for sidecar in story.mesh.sidecars.values()}


def _scalars(story):
    """The authorities' private keys as 32 bytes, big-endian and little-endian."""
    for name in ("bootstrap", "root", "intermediate"):
        with open(story.mesh.control.key_file(name), "rb") as file:
            key = serialization.load_pem_private_key(file.read(), None)
        scalar = key.private_numbers().private_value.to_bytes(32, "big")
        yield scalar
        yield scalar[::-1]


def _secrets(story):
    for sidecar in story.mesh.sidecars.values():
        with open(sidecar.token) as file:
            yield file.read().strip().split(".")[2].encode()
    yield b"PRIVATE KEY"
    yield from _scalars(story)


def _holds(data, secrets):
    return any(secret in data or secret.hex().encode() in data for secret in secrets)


def shows_that_no_log_page_argument_or_variable_has_a_secret(story):
    secrets = list(_secrets(story))
    for pid in (story.network, story.signer, *story.sidecars.values()):
        for name in ("cmdline", "environ"):
            with open("/proc/%d/%s" % (pid, name), "rb") as file:
                expect(not _holds(file.read(), secrets), "a secret is in /proc/%d/%s" % (pid, name))
    for process in [story.mesh.control.process] + [sidecar.process for sidecar in story.mesh.sidecars.values()]:
        expect(not _holds(process.log().encode(), secrets), "a secret is in the log of %s" % process.name)
    for sidecar in story.mesh.sidecars.values():
        for page in ("/certs", "/config", "/why", "/tunnels", "/connections", "/check"):
            expect(not _holds(str(sidecar.admin(page)).encode(), secrets), "a secret is in " + page)


def shows_that_files_with_secrets_are_readable_by_their_owner_alone(story):
    for folder in [story.mesh.control.state] + [sidecar.state for sidecar in story.mesh.sidecars.values()]:
        for path in (os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names):
            expect_eq(os.stat(path).st_mode & 0o077, 0, "permissions of others on " + path)
    for sidecar in story.mesh.sidecars.values():
        for name in os.listdir(sidecar.state):
            with open(os.path.join(sidecar.state, name), "rb") as file:
                expect(not _holds(file.read(), list(_scalars(story))), "a sidecar has the key of an authority")


def shows_that_the_same_user_cannot_read_a_processs_memory(story):
    """Not dumpable: no core, and /proc/PID/mem is closed to the process's own user."""
    for uid, pids in ((1336, (story.network, story.signer)), (1337, story.sidecars.values())):
        for pid in pids:
            done = story.mesh.control.host.run(["dd", "if=/proc/%d/mem" % pid, "bs=1", "count=0"], uid=uid, check=False)
            expect("Permission denied" in done.stderr, "uid %d may open the memory of %d: %s" % (uid, pid, done.stderr))
            expect_eq(os.stat("/proc/%d/maps" % pid).st_uid, 0, "owner of /proc/%d/maps" % pid)


def _memory(pid):
    """Every readable part of a process's memory, read as root."""
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as memory:
        for line in maps:
            span, access = line.split()[:2]
            start, end = (int(text, 16) for text in span.split("-"))
            if access[0] == "r" and "[v" not in line:
                try:
                    memory.seek(start)
                    yield memory.read(end - start)
                except OSError:
                    pass  # a guard page


def shows_that_only_the_signer_has_the_authorities_keys(story):
    scalars = list(_scalars(story))
    found = lambda pid: any(scalar in part for part in _memory(pid) for scalar in scalars)
    expect(found(story.signer), "the keys are not found in the signer's memory: this test would find nothing")
    expect(not found(story.network), "an authority's key is in the network process")
    for name, pid in story.sidecars.items():
        expect(not found(pid), "an authority's key is in the sidecar of " + name)


def shows_that_a_consumed_token_is_wiped_from_memory(story):
    secrets = [secret for secret in _secrets(story) if secret != b"PRIVATE KEY" and len(secret) > 32]
    for name, pid in story.sidecars.items():
        expect(not any(_holds(part, secrets) for part in _memory(pid)), "a consumed token is in the memory of " + name)
