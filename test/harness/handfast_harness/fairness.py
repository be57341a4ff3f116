"""An attack and its effect on others: the same requests before, during and after the attack.

    with Attack(lambda count, ending: flood(...)) as attack: ...          a flood in separate processes
    expect_unharmed("idle plaintext", {"meshed": ask}, lambda: Attack(flood))

`ask` makes one request of a client that is not attacking, and raises when it fails. The test passes if every request
during the attack succeeds, their p99 is within 3 times that of the quiet runs before and after, and requests are as
before within 10 s of the attack's end. Other work of the machine can delay single requests, so a p99 that is too high
(not a request that fails) is measured again, up to three times in all, and p99 values below LEAST_P99_S are not
distinguished."""

import multiprocessing
import os
import resource
import threading
import time

from .expect import StoryFailure, expect, wait_until

RATIO, RECOVERY_S, LEAST_P99_S, ROUNDS = 3.0, 10.0, 0.010, 3


class Attack:
    """Each flood is a function of (count, ending), run in a separate process at a low priority: an attacker does not
    use its victim's processor time. It calls count(n) for its work, and returns when ending() is true."""

    def __init__(self, *floods):
        fork = multiprocessing.get_context("fork")
        self._ending, self._counts = fork.Event(), [fork.Value("q", 0) for _ in floods]
        self._processes = [fork.Process(target=self._run, args=(flood, value), daemon=True)
                           for flood, value in zip(floods, self._counts)]
        self._started = self._ended = None

    def _run(self, flood, value):
        os.nice(10)
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

        def count(number=1):
            value.value += number
        flood(count, self._ending.is_set)

    def __enter__(self):
        self._started = time.monotonic()
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._ended = time.monotonic()
        for process in self._processes:
            process.join(0.5)
            process.kill()
            process.join()

    @property
    def count(self):
        return sum(value.value for value in self._counts)

    def per_second(self):
        return self.count / ((self._ended or time.monotonic()) - self._started)


def percentile(values, part):
    """The percentile of a non-empty list; part: 0.99 for p99."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


class Sample:
    """Requests of each kind at a steady rate, while the block lasts."""

    def __init__(self, requests, per_second):
        self._ending, self._pause = threading.Event(), 1.0 / per_second
        self.took, self.failures = {name: [] for name in requests}, []
        self._threads = [threading.Thread(target=self._ask, args=item, daemon=True) for item in requests.items()]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        for thread in self._threads:
            thread.join(30)

    def _ask(self, name, request):
        while not self._ending.wait(self._pause):
            started = time.monotonic()
            try:
                request()
                self.took[name].append(time.monotonic() - started)
            except Exception as error:  # any error: the request failed
                self.failures.append("%s after %.2f s: %s: %s" % (
                    name, time.monotonic() - started, type(error).__name__, error))

    def p99(self):
        return {name: percentile(took, 0.99) if took else float("inf") for name, took in self.took.items()}


def sample(requests, seconds, per_second):
    with Sample(requests, per_second) as taken:
        time.sleep(seconds)  # duration: of the measurement
    return taken


def _recovered(requests, limits, is_recovered, ended):
    """Seconds from the attack's end until 10 consecutive requests of each kind are as before."""
    in_a_row = 0
    while in_a_row < 10:
        expect(time.monotonic() - ended < RECOVERY_S, "not as before 10 s after the attack's end")
        in_a_row += 1
        for name, request in requests.items():
            started = time.monotonic()
            try:
                request()
                slow = time.monotonic() - started > limits[name]
            except Exception:
                slow = True
            if slow or not is_recovered():
                in_a_row = 0
    return time.monotonic() - ended


def _round(requests, attack, wait_until_under_way, seconds, per_second, is_recovered, least_p99_s):
    """({name: (p99 in quiet, p99 during)}, text of the measurement). Raises if a request fails."""
    quiet = sample(requests, seconds, per_second)
    expect(not quiet.failures, "in quiet: %s" % quiet.failures[:3])
    with attack() as flood:
        wait_until_under_way(flood)
        during = sample(requests, seconds, per_second)
    ended = time.monotonic()
    limits = {name: RATIO * max(p99, least_p99_s) for name, p99 in quiet.p99().items()}
    num = sum(map(len, during.took.values()))
    expect(not during.failures, "%d of %d requests failed during the attack (%.0f per second): %s" % (
        len(during.failures), num + len(during.failures), flood.per_second(), during.failures[:3]))
    recovery_s = _recovered(requests, limits, is_recovered, ended)
    after = sample(requests, seconds / 2, per_second)
    expect(not after.failures, "after the attack: %s" % after.failures[:3])
    p99s = {name: (max(quiet.p99()[name], after.p99()[name]), during.p99()[name]) for name in requests}
    parts = ["%s %.1f ms against %.1f (%.1fx)" % (name, 1e3 * bad, 1e3 * good, bad / good)
             for name, (good, bad) in p99s.items()]
    return p99s, "attack %.0f per second; %d of %d requests; p99 %s; back after %.1f s" % (
        flood.per_second(), num, num, ", ".join(parts), recovery_s)


def expect_unharmed(what, requests, attack, wait_until_under_way=lambda flood: None, seconds=3.0, per_second=60,
                    is_recovered=lambda: True, least_p99_s=LEAST_P99_S):
    """`requests`: {name: function}; `attack`: a function that makes an Attack, or anything with its `with` block and
    per_second(); `wait_until_under_way(attack)` returns once the attack has reached its target. `least_p99_s`: higher
    where the attack itself needs much of the machine that is both attacker and victim. Returns the text."""
    for number in range(ROUNDS):
        p99s, text = _round(requests, attack, wait_until_under_way, seconds, per_second, is_recovered,
                            least_p99_s)
        print("      %s: %s" % (what, text), flush=True)
        late = {name: pair for name, pair in p99s.items() if pair[1] > RATIO * max(pair[0], least_p99_s)}
        if not late:
            return text
    raise StoryFailure("%s: p99 above %.0f times the quiet run in each of %d rounds, at last %s" % (
        what, RATIO, ROUNDS, text))


def wait_for_count(number, deadline_s=10.0):
    """For wait_until_under_way: until the flood has counted so many."""
    def wait(flood):
        wait_until("the attack to come to %d" % number, lambda: flood.count >= number, deadline_s)
    return wait
