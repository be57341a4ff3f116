#!/usr/bin/python3
"""Draws each docs/drawings/NAME.dot as NAME.svg beside it, by Debian's graphviz. The SVG has the hash of its text, so that
test/lint/site_check.py finds one that is older than its text on machines without graphviz, whose fonts would differ."""

import hashlib
import pathlib
import re
import subprocess
import sys

DRAWINGS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "drawings"


def mark(dot):
    """The line of an SVG that names the text it was drawn from."""
    return f"<!-- {dot.name} sha256:{hashlib.sha256(dot.read_bytes()).hexdigest()} -->"


def outdated():
    """Names of the drawings without an SVG of their present text."""
    for dot in sorted(DRAWINGS.glob("*.dot")):
        svg = dot.with_suffix(".svg")
        if not svg.is_file() or mark(dot) not in svg.read_text(encoding="utf-8"):
            yield dot.name


def draw(dot):
    svg = subprocess.run(["dot", "-Tsvg", str(dot)], check=True, capture_output=True, text=True).stdout
    svg = re.sub(r"<!DOCTYPE.*?>\n|<!--.*?-->\n", "", svg, flags=re.S)
    dot.with_suffix(".svg").write_text(re.sub(r"(<svg )", mark(dot) + r"\n\1", svg, count=1), encoding="utf-8")


if __name__ == "__main__":
    for name in list(outdated()):
        draw(DRAWINGS / name)
        print(f"drawn: {name}")
    sys.exit(0)
