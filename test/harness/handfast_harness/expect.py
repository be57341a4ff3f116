"""What a story states, and waiting for something with a deadline.

A statement that does not hold raises StoryFailure; its text is what the runner prints, so it is a sentence."""

import time


class StoryFailure(AssertionError):
    """A statement of a story does not hold."""


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
    """Calls predicate until it gives something true, and returns that. `what` completes "waited 10 s for ..."."""
    end = time.monotonic() + deadline_s
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() >= end:
            raise StoryFailure("waited %.1f s for %s" % (deadline_s, what))
        time.sleep(interval_s)
