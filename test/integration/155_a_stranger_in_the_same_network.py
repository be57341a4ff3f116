"""A stranger that guesses tokens at full speed prevents neither its IPv6 neighbors nor known attestation keys from
attesting.

    neighbor: a stranger and an enrolling sidecar in one /64
    known [sidecar that restarts]: a stranger at the same address
    control

Rows: L5."""

import os
import threading

from handfast_harness import Mesh, expect, expect_eq, identity_of, wait_until
from peers import tls
from peers.enrollment import STREAMS, Enrollment, new_key, read_token

DEADLINE_S = 180
NEIGHBORS = 12


def arrange(story):
    story.mesh = Mesh(story, hosts=("known",), outsiders=("neighbor",), leaf_ttl="10s",
                      control={"identity": {"attest_per_second": 2}})
    story.control = story.mesh.control
    prefix = story.mesh.neighbor.ipv6.rsplit("::", 1)[0]
    story.stranger = prefix + "::bad"
    story.addresses = [prefix + "::1:%x" % number for number in range(NEIGHBORS)]
    for address in [story.stranger] + story.addresses:
        story.mesh.neighbor.run(["ip", "-6", "addr", "add", address + "/64", "dev", "eth0", "nodad"])
    story.tokens = [story.control.token(identity_of("neighbor-%d" % number)) for number in range(NEIGHBORS)]


def _attest(story, host, source, token=None):
    target = story.control.host.ipv6 if ":" in source else story.control.host.ipv4
    try:
        sock = host.connect(target, STREAMS, source=source, uid=1337)  # not redirected
        with Enrollment(host, target, sock=sock) as control:
            return control.attest(token or (os.urandom(16), os.urandom(32)), new_key()).status
    except (tls.Refused, OSError) as refused:
        return type(refused).__name__


class Guessing:
    """Guesses tokens from one address, as fast as answers arrive, until the end."""

    def __init__(self, story, host, source):
        self.story, self.host, self.source = story, host, source
        self.statuses, self._ends = [], threading.Event()
        self._threads = [threading.Thread(target=self._guess) for _ in range(2)]

    def _guess(self):
        while not self._ends.is_set():
            self.statuses.append(_attest(self.story, self.host, self.source))

    def expect_limited(self):
        """By a status, or, where guesses are faster than handshakes may be, by the end of the session."""
        expect("8" in self.statuses, "no guess was rate-limited by a status: %s" % self.statuses)
        limited = [status for status in self.statuses if status == "8" or not status.isdigit()]
        expect(len(limited) > len(self.statuses) // 2, "too few guesses were rate-limited: %s" % self.statuses)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ends.set()
        for thread in self._threads:
            thread.join(20)


def finding_l5_neighbors_of_one_64_enroll_beside_a_stranger(story):
    with Guessing(story, story.mesh.neighbor, story.stranger) as stranger:
        wait_until("the first guesses", lambda: len(stranger.statuses) >= 10, 20)
        statuses = [_attest(story, story.mesh.neighbor, address, read_token(token))
                    for address, token in zip(story.addresses, story.tokens)]
    expect_eq(statuses, ["0"] * NEIGHBORS, "answers to the neighbors")
    expect("0" not in stranger.statuses, "a guess got an identity")
    stranger.expect_limited()


def finding_l5_a_known_key_attests_beside_a_stranger_at_its_own_address(story):
    sidecar = story.mesh.sidecar("known")
    with Guessing(story, story.mesh.known, story.mesh.known.ipv4) as stranger:
        wait_until("the first guesses", lambda: len(stranger.statuses) >= 10, 20)
        sidecar.restart(deadline_s=20)
    stranger.expect_limited()
