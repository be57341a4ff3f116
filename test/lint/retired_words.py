#!/usr/bin/env python3
"""Counts the retired words of docs/glossary.md in all tracked text and compares the counts with
retired_words.budget, which may only fall. Prints each row above its budget, then `N passed, N failed`, where N counts rows.

    retired_words.py                 the gate
    retired_words.py --counts        each row with its count and its budget
    retired_words.py --show ROW      each place of a row, such as --show mail
    retired_words.py --lower         writes the counts that have fallen into the budget; raises none"""

import collections
import re
import sys

from tree import ROOT, report, tracked_texts

GLOSSARY = "docs/glossary.md"
BUDGET = "test/lint/retired_words.budget"
HEADING = "## Words that are retired"
# What names the words by need, and pages made from tables that are searched themselves.
EXEMPT = (GLOSSARY, BUDGET, "docs/decisions/", "docs/reference/", "test/lint/retired_words.py", "test/lint/lint_test.py")
DECISION = re.compile(r"decisions/\d{3}[a-z0-9-]*\.md")  # the name of one, wherever it is cited
# Rows of settings and metrics that were renamed: the old names stand where a program refuses them and a reader looks them up.
RENAMED = ("deadlines.hold", "deadlines (settings)", "window budget", "mesh.plain", "mesh.required", "runway")
NAMES_OLD_SETTINGS = re.compile(r"CHANGES\.md|.*renamed[a-z_]*\.(?:def|c|h)|.*renamed[a-z_]*_test\.c")

Row = collections.namedtuple("Row", "name write pattern folder")


def cells(line):
    """The cells of a row of a Markdown table; \\| is a bar."""
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def read_rows(text):
    """The table of retired words. ValueError: a row that is not whole."""
    rows = []
    if HEADING not in text:
        raise ValueError(f"no heading '{HEADING}'")
    for line in text[text.index(HEADING):].splitlines():
        if not line.startswith("| ") or line.startswith("| retired "):
            continue
        columns = cells(line) + [""]
        if len(columns) < 4 or not re.fullmatch(r"`[^`]+`", columns[2]):
            raise ValueError(f"not a row of four columns with an expression: {line}")
        # Case is folded in the text: that is several times faster than in the expression.
        rows.append(Row(columns[0], columns[1], re.compile(r"(?:" + columns[2].strip("`") + r")(?![a-z])"), columns[3]))
    if len({row.name for row in rows}) < len(rows):
        raise ValueError("two rows of one name")
    return rows


def read_budget(text):
    """Lines of a count and a row's name. Of two for one row (a merge that stopped) the lower one counts: --lower solves it."""
    budget = {}
    for count, name in re.findall(r"^(\d+) (\S.*)$", text, re.M):
        budget[name] = min(int(count), budget.get(name, int(count)))
    return budget


def is_searched(row, name):
    return (name.startswith(row.folder) and not name.startswith(EXEMPT)
            and not (row.name in RENAMED and NAMES_OLD_SETTINGS.fullmatch(name)))


def matches(row, text):
    """Where whole words begin. The expression has no look-behind of its own for that, which would make it slow."""
    return (match.start() for match in row.pattern.finditer(text) if not text[max(match.start() - 1, 0):match.start()].isalpha())


def places(row, texts):
    """(file, line number) of each match in lower-case texts; a match in a file's own name is at line 0."""
    for name, text in texts.items():
        if not is_searched(row, name):
            continue
        for _ in matches(row, name.lower()):
            yield name, 0
        for at in matches(row, text):
            yield name, text.count("\n", 0, at) + 1


def texts_to_judge():
    return {name: DECISION.sub("", text).lower() for name, text in tracked_texts().items()}


def judge(rows, counts, budget):
    """A line per row that has come back, or that the budget does not have."""
    for row in rows:
        if row.name not in budget:
            yield f"{row.name}: no line in {BUDGET}; add '{counts[row.name]} {row.name}'"
        elif counts[row.name] > budget[row.name]:
            yield (f"{row.name}: {counts[row.name]} times, at most {budget[row.name]}: write '{row.write}'"
                   f" (retired_words.py --show '{row.name}')")
    for name in sorted(set(budget) - {row.name for row in rows}):
        yield f"{name}: a line in {BUDGET} without a row in {GLOSSARY}"


def lowered(rows, counts, budget):
    """The budget with counts that have fallen; a row without a budget gets its count."""
    return "".join(f"{min(counts[row.name], budget.get(row.name, counts[row.name]))} {row.name}\n" for row in rows)


def findings():
    """For house_rules.py."""
    rows = read_rows((ROOT / GLOSSARY).read_text(encoding="utf-8"))
    texts = texts_to_judge()
    counts = {row.name: sum(1 for _ in places(row, texts)) for row in rows}
    return rows, counts, list(judge(rows, counts, read_budget((ROOT / BUDGET).read_text(encoding="utf-8"))))


def show(name):
    rows = [row for row in read_rows((ROOT / GLOSSARY).read_text(encoding="utf-8")) if row.name == name]
    if not rows:
        print(f"expected the name of a row of {GLOSSARY}; got '{name}'", file=sys.stderr)
        return 64
    for file, number in places(rows[0], texts_to_judge()):
        line = (ROOT / file).read_text(encoding="utf-8", errors="replace").split("\n")[number - 1].strip() if number else "its name"
        print(f"{file}:{number}: {line}")
    return 0


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--show":
        return show(sys.argv[2])
    if len(sys.argv) > 1 and sys.argv[1:] not in (["--counts"], ["--lower"]):
        print(__doc__, file=sys.stderr)
        return 64
    if not (ROOT / BUDGET).exists():
        (ROOT / BUDGET).write_text("", encoding="utf-8")
    rows, counts, wrong = findings()
    budget = read_budget((ROOT / BUDGET).read_text(encoding="utf-8"))
    if sys.argv[1:] == ["--counts"]:
        for row in rows:
            print(f"{counts[row.name]:6} of {budget.get(row.name, 0):6}  {row.name} -> {row.write}")
        print(f"{sum(counts.values()):6} of {sum(budget.values()):6}  in all")
        return 0
    if sys.argv[1:] == ["--lower"]:
        (ROOT / BUDGET).write_text(lowered(rows, counts, budget), encoding="utf-8")
        return 0
    return report(len(rows) - len(wrong), wrong)


if __name__ == "__main__":
    sys.exit(main())
