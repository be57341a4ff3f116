"""brute_force: guesses of tokens and handshakes at full speed are refused and rate-limited, and others are served.

    stranger: guesses tokens at the control plane, opens sessions with a self-made authority at the server
    client: load -> [sidecar] ==tunnel==> server; late: enrolls meanwhile"""

import collections
import os
import threading
import time

from handfast_harness import Mesh, StreamServer, TestAuthority, expect, expect_eq, identity_of, wait_until
from handfast_harness.load import Load
from peers import hbone, tls
from peers.enrollment import Enrollment, new_key, read_token

DEADLINE_S = 240
THREADS, PER_THREAD, A_SECOND = 6, 50, 10


def arrange(story):
    story.mesh = Mesh(story, outsiders=("stranger", "late"), leaf_ttl="1h",
                      control={"identity": {"attest_per_second": A_SECOND}})
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    story.token = story.mesh.control.token(identity_of("late"))


def _at_full_speed(work):
    """Each thread does its share. Returns the count per outcome."""
    outcomes = collections.Counter()

    def share():
        for number in range(PER_THREAD):
            outcomes[work(number)] += 1
    threads = [threading.Thread(target=share) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    return threads, outcomes


def shows_that_guessed_tokens_are_refused_and_limited_and_others_enroll(story):
    true_id, _ = read_token(story.token)

    def guess(number):
        token = (true_id if number % 2 else os.urandom(16)), os.urandom(32)
        try:
            with Enrollment(story.mesh.stranger, story.mesh.control.host.ipv4) as control:
                return "status " + control.attest(token, new_key()).status
        except (tls.Refused, OSError) as refused:
            return "session refused (%s)" % type(refused).__name__

    with Load(story.mesh.client, story.mesh.server.ipv4, 9000, num_clients=10) as load:
        began = time.monotonic()
        threads, outcomes = _at_full_speed(guess)
        wait_until("the first guesses", lambda: sum(outcomes.values()) > 20, 20)
        story.mesh.start_sidecar("late", token=story.token)
        for thread in threads:
            thread.join(60)
        took_s = time.monotonic() - began
    expect_eq(sum(outcomes.values()), THREADS * PER_THREAD, "guesses made")
    expect("status 0" not in outcomes, "a guess got an identity: %s" % outcomes)
    slowed = outcomes["status 8"] + sum(count for what, count in outcomes.items() if what.startswith("session"))
    # On a slow machine guesses may be hardly faster than what is allowed: so many at once, and so many per second.
    expect(slowed > THREADS * PER_THREAD // 2 or sum(outcomes.values()) - slowed <= A_SECOND * (took_s + 2),
           "too few guesses were rate-limited in %.1f s: %s" % (took_s, outcomes))
    expect_eq(load.failures, [], "failures of others")


def shows_that_handshakes_at_full_speed_are_refused_and_others_served(story):
    leaf = TestAuthority().leaf(identity_of("client"))

    def knock(_):
        try:
            with hbone.Client(story.mesh.stranger, story.mesh.server.ipv4, leaf):
                return "opened"
        except (tls.Refused, OSError) as refused:
            return str(refused)

    with Load(story.mesh.client, story.mesh.server.ipv4, 9000, num_clients=10) as load:
        threads, outcomes = _at_full_speed(knock)
        for thread in threads:
            thread.join(60)
    # A source may begin 200 handshakes at once and then 50 per second; further connections are reset before the handshake.
    reset = sum(count for what, count in outcomes.items() if "reset" in what.lower() or "ECONNRESET" in what)
    expect_eq(outcomes["unknown ca"] + reset, THREADS * PER_THREAD, "handshakes refused: %s" % dict(outcomes))
    expect(outcomes["unknown ca"] >= 150, "handshakes within the source's share get an alert: %s" % dict(outcomes))
    expect_eq(load.failures, [], "failures of others")
