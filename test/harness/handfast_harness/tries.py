"""The verdict on stories that may run twice. One that fails and then passes is flaky: it is named above the last line,
and is a bug to look for. A few of many do not fail a run: the machine may be another's at the wrong moment."""

PASSED, FLAKY, FAILED = "passed", "flaky", "failed"


def outcome(first, second=None):
    """first, second: functions that run the story and return whether it passed; no second means no second try."""
    if first():
        return PASSED
    return FLAKY if second and second() else FAILED


def allowed(number):
    """How many of so many stories may be flaky: 2, and 1 more per 50."""
    return 2 + number // 50


def sum_up(outcomes):
    """outcomes: [(name, outcome)]. Prints the flaky ones and `N passed, N failed`; returns how many failed. Beyond the
    allowed number each flaky one counts as failed."""
    flaky = [name for name, what in outcomes if what == FLAKY]
    counts = len(flaky) > allowed(len(outcomes))
    for name in flaky:
        print("flaky: %s%s" % (name, " (counts as failed: more than %d are flaky)" % allowed(len(outcomes)) if counts else ""))
    failed = sum(what == FAILED for _, what in outcomes) + (len(flaky) if counts else 0)
    print("%d passed, %d failed" % (len(outcomes) - failed, failed))
    return failed
