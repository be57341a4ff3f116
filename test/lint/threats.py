#!/usr/bin/env python3
"""Holds docs/threats.md and the codes that comments and test names cite together:

- each abuse case has one row; the row names tests that exist (file and function), or has `no test yet` with a reason;
- each code that a comment or a test name cites has a row, and a test whose name begins with a code stands in that row;
- a finding (findings.py) is cited as one: a name `finding_t2_...`, a line `Rows: T2.`, or "finding T2" in prose.

Prints one line per gap, then `N passed, N failed`, where N counts rows."""

import ast
import collections
import fnmatch
import io
import pathlib
import re
import sys
import tokenize

import findings
from tree import ROOT, report, tracked

PAGE = "docs/threats.md"
HEADER = "| code | abuse | outcome | held by |"
REFERENCE = re.compile(r"`([\w./-]+\.(?:c|py))`: (`[\w*]+`(?:, `[\w*]+`)*)")
NO_TEST = re.compile(r"\bno test yet(?:: | for | that )[\w`]")


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


# --- the page ---

def rows():
    """(code, what holds it) of each row of an abuse table."""
    is_inside = False
    for line in text_of(PAGE).splitlines():
        is_inside = line == HEADER or is_inside and line.startswith("|")
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if is_inside and re.fullmatch(r"[A-Z]\d+", cells[0]):
            yield cells[0], cells[-1] if len(cells) == 4 else ""


def references(held_by):
    """{file: [patterns of functions]}"""
    return {name: re.findall(r"`([\w*]+)`", functions) for name, functions in REFERENCE.findall(held_by)}


def functions_of(name):
    pattern = r"^(?:static )?(?:void|int) (\w+)\(" if name.endswith(".c") else r"^ *def (\w+)\("
    return re.findall(pattern, text_of(name), re.M) if (ROOT / name).is_file() else None


def gaps_of(code, held_by):
    found = references(held_by)
    if not found and not NO_TEST.search(held_by):
        yield "%s: names no test; expected: `FILE`: `FUNCTION`, or `no test yet: REASON`" % code
    for name, patterns in found.items():
        functions = functions_of(name)
        if functions is None:
            yield "%s: no file %s" % (code, name)
            continue
        for pattern in patterns:
            if not fnmatch.filter(functions, pattern):
                yield "%s: %s has no function %s" % (code, name, pattern)


# --- what cites a code ---

CODE = r"[A-Z]\d{1,2}"
LIST = r"%s(?:(?:,| and| to|, and)? %s)*" % (CODE, CODE)
AS_FINDINGS = re.compile(r"\b(?:Rows: |[Ff]indings? )(%s)" % LIST)
ALONE = re.compile(r"(?<![\w.%%/-])(?:%s)(?:-(?:%s))?(?![\w.%%-])(?!\.\d)|(?<![\w.%%/-])%s(?=\.(?:\s|$))" % (CODE, CODE, CODE))
NAME = re.compile(r"(?:case_)?((?:finding_[a-z]\d{1,2}(?:_and_[a-z]\d{1,2})*_|[a-z]\d{1,2}_)+)", re.I)


def comments_of_c(text):
    for match in re.finditer(r"/\*.*?\*/", re.sub(r'"(?:\\.|[^"\\\n])*"', lambda match: " " * len(match.group(0)), text), re.S):
        yield text.count("\n", 0, match.start()) + 1, match.group(0)


def comments_of_python(text):
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node, False):
            yield node.body[0].lineno, ast.get_docstring(node, False)


def tests_of(name):
    pattern = r"^static void (\w+)\((?:_unused_ )?void \*\*" if name.endswith(".c") else r"^ *def ((?:shows|finding|case)_\w+)\("
    return re.findall(pattern, text_of(name), re.M)


def comments():
    """(place, text), in code; of documents only explicit citations."""
    ours = pathlib.Path(__file__).name, "findings.py"
    for name in tracked("*.c", "*.h", "*.def", "*.py"):
        if pathlib.Path(name).name not in ours:
            each = comments_of_python if name.endswith(".py") else comments_of_c
            yield from (("%s:%d" % (name, line), text) for line, text in each(text_of(name)))
    for name in tracked("*.md"):
        for number, line in enumerate(text_of(name).splitlines(), 1):
            cited = " ".join(match.group(0) for match in re.finditer(r"\b(?:[Ff]indings?|abuse cases?) %s" % LIST, line))
            if cited:
                yield "%s:%d" % (name, number), cited


def cited(text):
    """(codes of findings, codes of abuse cases)"""
    as_findings = [code for match in AS_FINDINGS.finditer(text) for code in re.findall(CODE, match.group(1))]
    rest = AS_FINDINGS.sub(" ", text)
    return as_findings, [code for match in ALONE.finditer(rest) for code in re.findall(CODE, match.group(0))]


def wrong_citations(codes):
    letters = {code[0] for code in codes} | {code[0] for code in findings.ROWS}
    for place, text in comments():
        of_findings, of_cases = cited(text)
        for code in of_findings:
            if code not in findings.ROWS:
                yield "%s: no finding %s; test/lint/findings.py has them" % (place, code)
        for code in of_cases:
            if code[0] in letters and code not in codes:
                yield "%s: %s has no row in %s%s" % (place, code, PAGE, "; if the finding is meant: finding " + code
                                                    if code in findings.ROWS else "")


def codes_of_name(test):
    """The abuse cases with which a test's name begins."""
    match = NAME.match(test)
    plain = re.sub(r"finding_[a-z]\d{1,2}(?:_and_[a-z]\d{1,2})*_", "", match.group(1)) if match else ""
    return re.findall(r"[A-Z]\d{1,2}", plain.upper())


def wrong_names(held):
    for name in tracked("*_test.c", "test/*.py"):
        for test in tests_of(name):
            for code in codes_of_name(test):
                if code not in held:
                    yield "%s: %s: %s has no row in %s" % (name, test, code, PAGE)
                elif not any(fnmatch.fnmatchcase(test, pattern) for pattern in references(held[code]).get(name, [])):
                    yield "%s: %s is not in the row %s of %s" % (name, test, code, PAGE)


def gaps():
    """(number of rows that hold, a line per gap)"""
    table = list(rows())
    held = dict(table)
    twice = [code for code, count in collections.Counter(code for code, _ in table).items() if count > 1]
    of_rows = {code: list(gaps_of(code, held_by)) for code, held_by in table}
    lines = ["%s: two rows" % code for code in twice] + [line for each in of_rows.values() for line in each]
    lines += list(wrong_citations(set(held))) + list(wrong_names(held))
    if not table:
        lines.append("%s: no table with the header %s" % (PAGE, HEADER))
    return sum(not each for each in of_rows.values()) - len(twice), lines


if __name__ == "__main__":
    sys.exit(report(*gaps()))
