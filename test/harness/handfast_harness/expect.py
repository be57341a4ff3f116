"""Assertions, and waiting for a condition with a deadline.

An assertion that fails raises StoryFailure; the runner prints its text."""

import time


class StoryFailure(AssertionError):
    """An assertion of a story failed."""


def expect(condition, sentence):
    if not condition:
        raise StoryFailure(sentence)


def expect_eq(got, expected, what):
    if got != expected:
        raise StoryFailure("%s: expected %r, got %r" % (what, expected, got))


def expect_in(part, whole, what):
    if part not in whole:
        shown = whole if len(whole) < 400 else whole[:400] + type(whole)(b"..." if isinstance(whole, bytes) else "...")
        raise StoryFailure("%s: expected to find %r in %r" % (what, part, shown))


def wait_until(what, predicate, deadline_s=10.0, interval_s=0.02):
    """Calls predicate until its result is true, and returns that result. `what` completes "waited 10 s for ..."."""
    end = time.monotonic() + deadline_s
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() >= end:
            raise StoryFailure("waited %.1f s for %s" % (deadline_s, what))
        time.sleep(interval_s)  # duration: the pause between two polls
