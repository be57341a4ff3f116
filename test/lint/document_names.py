#!/usr/bin/env python3
"""What a document of docs/ names in backticks exists: files and folders by their path from the top, functions as `name()`,
structs as `struct name`. In an item of a numbered list that begins with a file, each function is defined in that file, so
that the walks of docs/architecture.md stay true. A drawing in a fenced block without a language names functions, too.
Prints one line per finding, then `N passed, N failed`, where N counts names. house_rules.py runs the same check."""

import builtins
import json
import pathlib
import re
import subprocess
import sys

from tree import ROOT, report, tracked

DOCUMENTS = ("docs/architecture.md", "docs/CONTRIBUTING.md", "docs/SECURITY.md", "docs/debugging-tests.md")


FILES = set(tracked())
FOLDERS = {str(folder) for name in FILES for folder in pathlib.PurePosixPath(name).parents}
TOP = {folder for folder in FOLDERS if "/" not in folder}


def defined_functions():
    """{name: the files that define it}: functions and macros of C, functions of Python."""
    command = ["ctags", "--languages=C,Python", "--langmap=C:.c.h", "--kinds-C=fd", "--kinds-Python=fm", "--output-format=json",
               "-I", "DEFINE_CLEANUP+", "-f", "-", "-L", "-"]  # else what follows that macro is missed
    names = "\n".join(sorted(name for name in FILES if name.endswith((".c", ".h", ".py"))))
    found = {}
    for line in subprocess.run(command, cwd=ROOT, input=names, check=True, capture_output=True, text=True).stdout.splitlines():
        tag = json.loads(line)
        found.setdefault(tag["name"], set()).add(tag["path"])
    return found


def defined_structs():
    return {name for path in FILES if path.endswith((".c", ".h"))
            for name in re.findall(r"\bstruct (\w+)\s*\{", (ROOT / path).read_text(encoding="utf-8"))}


def drawn_functions(text):
    """(line, name) of each function in fenced blocks without a language, which are drawings."""
    for block in re.finditer(r"^```\n(.*?)^```$|^```.*?^```$", text, re.M | re.S):
        for match in re.finditer(r"(?<![\w.])(\w+)\(\)", block.group(1) or ""):
            yield text.count("\n", 0, block.start(1) + match.start()) + 1, match.group(1)


def paragraphs(text):
    """(line, text) of each paragraph, list item and table row outside of fenced blocks."""
    start, lines, is_fenced = 1, [], False
    for number, line in enumerate(text.splitlines() + [""], 1):
        if line.startswith("```"):
            is_fenced = not is_fenced
        ends = line.startswith("```") or is_fenced or not line.strip() or re.match(r"(\d+\.|-|\|) ?", line)
        if ends and lines:
            yield start, "\n".join(lines)
            lines = []
        if not is_fenced and line.strip() and not line.startswith("```"):
            start = start if lines else number
            lines.append(line)


def path_fault(name):
    """None where it is no path of ours, or one that exists."""
    path = name.rstrip("/")
    if path.split("/")[0] not in TOP or "/" not in path or re.search(r"[^\w./-]", path):
        return None
    return None if path in FILES or path in FOLDERS else "no such file or folder"


class Check:
    def __init__(self, functions, structs):
        self.functions, self.structs = functions, structs
        self.num_passed, self.findings = 0, []

    def note(self, place, name, fault):
        if fault is None:
            self.num_passed += 1
        else:
            self.findings.append(f"{place}: `{name}`: {fault}")

    def function_fault(self, name, home):
        where = self.functions.get(name)
        if where is None and name in dir(builtins):
            return None
        if where is None:
            return "no function of this name is defined"
        return None if home is None or home in where else f"not defined in {home}, but in {', '.join(sorted(where))}"

    def paragraph(self, place, text):
        first = re.match(r"\d+\. `([\w./-]+\.(?:c|h|py))`", text)
        home = first.group(1) if first else None
        for span in re.findall(r"`([^`]+)`", text):
            function, struct = re.fullmatch(r"(\w+)\(\)", span), re.fullmatch(r"struct (\w+)", span)
            if function:
                self.note(place, span, self.function_fault(function.group(1), home))
            elif struct:
                self.note(place, span, None if struct.group(1) in self.structs else "no such struct")
            elif "/" in span:
                self.note(place, span, path_fault(span))

    def document(self, name, text):
        for number, paragraph in paragraphs(text):
            self.paragraph(f"{name}:{number}", paragraph)
        for number, function in drawn_functions(text):
            self.note(f"{name}:{number}", f"{function}()", self.function_fault(function, None))


def checked():
    check = Check(defined_functions(), defined_structs())
    for name in DOCUMENTS:
        check.document(name, (ROOT / name).read_text(encoding="utf-8"))
    return check


if __name__ == "__main__":
    CHECK = checked()
    sys.exit(report(CHECK.num_passed, CHECK.findings))
