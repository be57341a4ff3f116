"""Output: headings, text, tables and claims. A claim is printed only if it holds; else the demo ends."""

import os
import sys
import textwrap
import time

from handfast_harness import StoryFailure

_WIDTH = 110
_CODES = {"title": "\033[1m", "good": "\033[32m", "bad": "\033[31m", "faint": "\033[2m"}
_has_color = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and "NO_COLOR" not in os.environ
_claims = []
_started = time.monotonic()


def _paint(kind, text):
    return _CODES[kind] + text + "\033[0m" if _has_color else text


def scene(number, title):
    print("\n%s" % _paint("title", "%d. %s" % (number, title)), flush=True)


def text(sentence, *values):
    for line in textwrap.wrap(sentence % values if values else sentence, _WIDTH - 3):
        print("   " + line, flush=True)


def show(command):
    """A command that a reader can type."""
    print("   $ " + command, flush=True)


def table(rows, headings=None):
    """Columns as wide as their widest cell."""
    cells = [[str(cell) for cell in row] for row in ([headings] if headings else []) + list(rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for number, row in enumerate(cells):
        line = "     " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        print(_paint("faint", line) if headings and number == 0 else line, flush=True)


def claim(holds, sentence, otherwise=""):
    """Prints the sentence if it holds, else ends the demo."""
    if not holds:
        raise StoryFailure("%s%s" % (sentence, ": " + otherwise if otherwise else ""))
    _claims.append(sentence)
    print("   %s %s" % (_paint("good", "[holds]"), sentence), flush=True)


def claim_eq(got, expected, sentence):
    claim(got == expected, sentence, "it is %r; expected: %r" % (got, expected))


def failed(reason):
    print("\n   %s %s" % (_paint("bad", "[does not hold]"), reason), flush=True)


def summary():
    print("\n%s" % _paint("title", "Summary: %d claims checked, all hold, in %.0f s" %
                          (len(_claims), time.monotonic() - _started)))
    for sentence in _claims:
        print("   - " + sentence)
    sys.stdout.flush()


def kilobytes(num_bytes):
    return "%.1f MB" % (num_bytes / 1e6) if num_bytes >= 1e6 else "%.1f KB" % (num_bytes / 1e3)
