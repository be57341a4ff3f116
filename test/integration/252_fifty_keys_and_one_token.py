"""Fifty attestation keys present one join token at the same time while the control plane is killed at random moments:
exactly one wins, also after the restarts, and it goes on. Entries are made and removed by command.

    50 keys, one token --> control (kill -9, again and again)"""

import contextlib
import json
import random
import threading
import time

from handfast_harness import Mesh, expect, expect_eq, expect_in, identity_of, wait_until
from peers.enrollment import Enrollment, new_key, read_token

DEADLINE_S = 240
DENIED, RACED = "7", identity_of("raced")
KEYS, KILLS = 50, 4


def arrange(story):
    story.mesh = Mesh(story, hosts=(), outsiders=("thief",), leaf_ttl="1h")
    story.control = story.mesh.control


def _ask(story, **words):
    """The answer, or None where the control plane was away or is starting."""
    with contextlib.suppress(Exception), Enrollment(story.mesh.thief, story.control.host.ipv4) as control:
        result = control.attest(**words)
        if result.status in ("0", DENIED):
            return result
    return None


def _answer(story, **words):
    """When the control plane has just started, its ports are open before it answers."""
    return wait_until("an answer", lambda: _ask(story, **words), 20)


def shows_that_W10_one_of_fifty_keys_wins_across_kills(story):
    token, answers, moment = read_token(story.control.token(RACED)), {}, random.Random()
    keys, go = [new_key() for _ in range(KEYS)], threading.Barrier(KEYS + 1)

    def present(number):
        go.wait()
        while number not in answers:
            result = _ask(story, token=token, key=keys[number])
            if result is None:
                time.sleep(0.05)  # duration: between tries while it starts
            else:
                answers[number] = result

    threads = [threading.Thread(target=present, args=(number,)) for number in range(KEYS)]
    for thread in threads:
        thread.start()
    go.wait()
    for _ in range(KILLS):
        time.sleep(moment.uniform(0.02, 0.4))  # duration: a random moment of the race
        story.control.kill()
        story.control.start()
    for thread in threads:
        thread.join(60)
    expect_eq(len(answers), KEYS, "keys with an answer")
    winners = [number for number, result in answers.items() if result.status == "0"]
    expect_eq(len(winners), 1, "keys that won")
    for number, result in answers.items():
        if number not in winners:
            expect_in("used by another attestation key", result.message, "the refusal")
    story.control.kill()
    story.control.start()
    for number in (winners[0], (winners[0] + 1) % KEYS):
        wanted = "0" if number == winners[0] else DENIED
        expect_eq(_answer(story, token=token, key=keys[number]).status, wanted, "the token again, with key %d" % number)
        expect_eq(_answer(story, key=keys[number]).status, wanted, "the key alone: key %d" % number)
    rows = json.loads(story.control.run("token", "list", "--output", "json").stdout)["tokens"]
    expect(all(row["consumed_by"] for row in rows if row["id"] == RACED), "the token is listed as unused")


def shows_that_entries_are_made_listed_and_deleted_by_command(story):
    create = ("entry", "create", "cart", "--id", identity_of("cart"), "--selector", "unix:uid:1000", "--selector",
              "unix:unit:cart.service", "--ttl", "10m")
    expect_eq(story.control.run(*create).stdout, "created\n", "the command")
    story.control.restart()
    listed = json.loads(story.control.run("entry", "list", "--output", "json").stdout)["entries"]
    expect_eq(listed, [{"name": "cart", "id": identity_of("cart"), "selectors": ["unix:uid:1000", "unix:unit:cart.service"],
                        "ttl_seconds": 600, "from": "store"}], "the entries after a restart")
    expect_in("unix:uid:1000,unix:unit:cart.service  for 600s  (store)", story.control.run("entry", "show", "cart").stdout, "show")
    for words, code, text in ((create, 1, "there is an entry cart"), (("entry", "show", "none"), 1, "there is no entry none"),
                              (("entry", "delete", "none"), 1, "there is no entry none"),
                              (("entry", "create", "x", "--id", identity_of("x")), 64, "what the workload must prove"),
                              (("entry", "create", "x", "--id", identity_of("x"), "--selector", "a:b"), 1, "a selector that begins")):
        done = story.control.run(*words, check=False)
        expect_eq(done.returncode, code, "exit code of %s (%s)" % (" ".join(words), done.stderr))
        expect_in(text, done.stderr, "the reason")
    expect_in("deleted", story.control.run("entry", "delete", "cart").stdout, "delete")
    expect_eq(story.control.run("entry", "list").stdout, "no entries\n", "the entries afterwards")
    expect_in("entry deleted: cart", story.control.log(), "the log")
