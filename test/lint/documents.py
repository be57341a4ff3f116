#!/usr/bin/env python3
"""What comments, tests and documents cite exists: documents by path or name; decisions, stories and rules of the style by
number; files that a document names; targets and anchors of Markdown links. threats.py checks the codes of abuse cases.
Prints a line per finding, then `N passed, N failed`, where N counts rules. house_rules.py runs the same rules."""

import posixpath
import re
import sys

from tree import report_rules, tracked_texts
from tree import tracked as tracked_names

# Texts about documents, with names of documents that are examples.
ABOUT_DOCUMENTS = ("test/lint/documents.py", "test/lint/lint_test.py")


class Tree:
    """The tracked files, and the texts among them. For tests: any dictionary of names and texts."""

    def __init__(self, texts, names=()):
        self.texts = texts
        self.names = set(texts) | set(names)
        self.folders = {posixpath.dirname(name) for name in self.names}
        while any(posixpath.dirname(folder) not in self.folders for folder in self.folders):
            self.folders |= {posixpath.dirname(folder) for folder in self.folders}

    def has(self, path):
        return path in self.names or path.rstrip("/") in self.folders

    def markdown(self):
        return {name: text for name, text in self.texts.items() if name.endswith(".md")}


def tracked():
    return Tree(tracked_texts(), tracked_names())


def citations(tree, expression):
    """(place, match) in every text but those about documents."""
    for name, text in tree.texts.items():
        if name not in ABOUT_DOCUMENTS:
            for match in expression.finditer(text):
                yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}", match


def resolved(tree, path, citing):
    """The file that a citation means: from the top, from the folder of the citing file, or by its name in docs/."""
    for folder in ("", posixpath.dirname(citing), "docs", "docs/reference"):
        found = posixpath.normpath(posixpath.join(folder, path))
        if tree.has(found):
            return found
    return None


def documents_exist(tree):
    """A document that is cited by path or name is in the tree."""
    for place, match in citations(tree, re.compile(r"(?<![\w./*-])((?:\.\./)*[\w-]+(?:/[\w.-]+)*\.md)\b")):
        # NNN stands for a number in a text about decisions.
        if "NNN" not in match[1] and resolved(tree, match[1], place.rsplit(":", 1)[0]) is None:
            yield f"{place}: {match[1]}: no such document"


def sections_exist(tree):
    """A section that is cited by its heading (docs/design.md, "Folders") is in that document."""
    for place, match in citations(tree, re.compile(r'([\w./-]+\.md), "([A-Z][^"\n]+)"')):
        file = resolved(tree, match[1], place.rsplit(":", 1)[0])
        if file is not None and not re.search(rf"^#+ {re.escape(match[2])}$", tree.texts.get(file, ""), re.M):
            yield f"{place}: {match[1]} has no section '{match[2]}'"


def decisions_exist(tree):
    """A decision that is cited by number is in docs/decisions."""
    numbers = {name[len("docs/decisions/"):][:3] for name in tree.names if name.startswith("docs/decisions/")}
    for place, match in citations(tree, re.compile(r"\bdecisions?[ /]\s*(?:\*\s*)?(\d{3}(?:(?:, | and )\d{3})*)\b", re.I)):
        for number in re.findall(r"\d{3}", match[1]):
            if number not in numbers:
                yield f"{place}: decision {number}: no such decision"


def stories_exist(tree):
    """A story that is cited by number is in test/integration."""
    numbers = {name[len("test/integration/"):][:3] for name in tree.names if name.startswith("test/integration/")}
    for place, match in citations(tree, re.compile(r"\bstor(?:y|ies) (\d{3}(?:(?:, | and | to )\d{3})*)\b", re.I)):
        for number in re.findall(r"\d{3}", match[1]):
            if number not in numbers:
                yield f"{place}: story {number}: no such story"


def style_rules_exist(tree):
    """A rule of the style that is cited by number is in docs/style.md."""
    numbers = set(re.findall(r"^(\d+)\. ", tree.texts.get("docs/style.md", ""), re.M))
    for place, match in citations(tree, re.compile(r"\bstyle(?:\.md)?,? (?:rule )?(\d{1,2})\b")):
        if match[1] not in numbers:
            yield f"{place}: rule {match[1]}: no such rule in docs/style.md"


def documents_are_listed(tree):
    """Each document of docs/ is in its README, so that a reader finds it."""
    readme = tree.texts.get("docs/README.md", "")
    for name in sorted(tree.names):
        if re.fullmatch(r"docs/[\w-]+\.md", name) and name != "docs/README.md" and posixpath.basename(name) not in readme:
            yield f"docs/README.md: nothing about {posixpath.basename(name)}"


def pages_are_in_the_navigation(tree):
    """Each document of docs/ is in the navigation of the site."""
    navigation = tree.texts.get("tools/site/mkdocs.yml", "")
    for name in sorted(tree.names):
        if re.fullmatch(r"docs/[\w-]+\.md", name) and f": {name}\n" not in navigation:
            yield f"tools/site/mkdocs.yml: nothing about {name}"


def files_exist(tree):
    """A file that a document names by its path is in the tree."""
    path = re.compile(r"`((?:[\w.-]+/)+[\w-]+\.(?:c|h|py|sh|def|proto|bzl|yaml|txt|budget))`")
    for name, text in tree.markdown().items():
        for match in path.finditer(text):
            if resolved(tree, match[1], name) is None and not name.startswith("docs/decisions/"):
                yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[1]}: no such file"


def cited_files_exist(tree):
    """A source file that any text cites by its path from the top, or a README of its folder by name, is in the tree."""
    tops = "|".join(sorted({name.split("/")[0] for name in tree.names if "/" in name}))
    endings = "c|h|py|sh|def|proto|bzl|yaml|txt|budget"
    path = re.compile(rf"(?<![\w./-])((?:{tops})/[\w./-]*\w\.(?:{endings}))(?![\w.(])")
    for place, match in citations(tree, path):
        if not tree.has(match[1]) and not place.startswith(("docs/decisions/", "CHANGES.md")) and not match[1].endswith(".pb-c.h"):
            yield f"{place}: {match[1]}: no such file"
    known = {posixpath.basename(name) for name in tree.names}
    for name, text in tree.markdown().items():
        if posixpath.basename(name) != "README.md":
            continue
        for match in re.finditer(rf"`([\w-]+\.(?:{endings}))`", text):
            if match[1] not in known:
                yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[1]}: no such file"


PROTOCOLS = "docs/protocols.md"


def functions_of_stories(tree):
    """{number: {function: its text}}"""
    return {name.split("/")[2][:3]: dict(re.findall(r"^def ((?:shows|finding)_\w+)\(.*?:\n((?:    .*\n|\n)*)", text, re.M))
            for name, text in tree.texts.items() if re.match(r"test/integration/\d{3}_\w+\.py$", name)}


def protocols_are_tested(tree):
    """Each row of the table of protocols names functions of stories, which exist; each that uses carried() is in a row."""
    stories, named = functions_of_stories(tree), set()
    rows = [line for line in tree.texts.get(PROTOCOLS, "").splitlines() if line.startswith("| ")]
    for row in rows[1:]:
        tests = re.findall(r"`(\d{3}):(\w+)`", row.rsplit(" | ", 1)[-1])
        named.update(tests)
        if not tests:
            yield f"{PROTOCOLS}: names no test: {row}"
        for number, function in tests:
            if function not in stories.get(number, ()):
                yield f"{PROTOCOLS}: story {number} has no {function}"
    for number, functions in stories.items():
        for function, text in functions.items():
            if " carried(" in text and (number, function) not in named:
                yield f"{PROTOCOLS}: has no row for {number}:{function}"


SYMPTOMS = "docs/troubleshoot.md"


def symptoms_are_explained(tree):
    """The page of symptoms has each close reason that is a failure, and each condition that keeps a sidecar from being well."""
    page = tree.texts.get(SYMPTOMS, "")
    reasons = re.findall(r'^CLOSE_REASON\(\w+, "(\w+)", \d+, true\)', tree.texts.get("sidecar/conn/close_reason.def", ""), re.M)
    conditions = re.findall(r'add\(out, METRIC_CONDITION_\w+, "([^"]+)"', tree.texts.get("sidecar/sidecar_pages.c", ""))
    for name in reasons + conditions:
        if f"`{name}`" not in page:
            yield f"{SYMPTOMS}: nothing about `{name}`"


# Documents of docs/ with tables that are wider than a page; prose fits.
WIDE = ("docs/reference/", "docs/threats.md", "docs/findings.md")


def lines_fit(tree):
    """A line of README or of a document in docs/ has at most 120 characters."""
    for name, text in tree.markdown().items():
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > 120 and name.startswith(("README.md", "docs/")) and not name.startswith(WIDE):
                yield f"{name}:{number}: {len(line)} characters"


def without_code(text):
    """Markdown without fenced, indented and inline code, line breaks kept."""
    blank = lambda match: re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r"^    .*$|`[^`\n]*`", blank, re.sub(r"^```.*?^```$", blank, text, flags=re.M | re.S), flags=re.M)


def anchors(text):
    """The anchors of a document's headings, as forges make them."""
    found, seen = set(), {}
    for heading in re.findall(r"^#{1,6} (.+?)\s*$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(slug if slug not in seen else f"{slug}-{seen[slug]}")
        seen[slug] = seen.get(slug, 0) + 1
    return found


def links_resolve(tree):
    """A Markdown link leads to a file or folder of the tree, and to a heading that is there."""
    inline, label = re.compile(r"\[[^\]]*\]\(\s*([^)\s]+)[^)]*\)"), re.compile(r"^\[([^\]]+)\]:\s*(\S+)", re.M)
    for name, text in tree.markdown().items():
        plain = without_code(text)
        labels = {match[1].lower() for match in label.finditer(plain)}
        targets = [(match.start(), match[1]) for match in inline.finditer(plain)]
        targets += [(match.start(), match[2]) for match in label.finditer(plain)]
        for match in re.finditer(r"\]\[([^\]\n]+)\]", plain):
            if match[1].lower() not in labels:
                yield f"{name}:{plain.count(chr(10), 0, match.start()) + 1}: [{match[1]}]: no such label"
        for at, target in targets:
            place = f"{name}:{plain.count(chr(10), 0, at) + 1}"
            path, _, anchor = target.partition("#")
            file = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
            if re.match(r"[a-z]+:", target):
                continue
            if not tree.has(file):
                yield f"{place}: {target}: no such file"
            elif anchor and anchor not in anchors(tree.texts.get(file, "")):
                yield f"{place}: {target}: no such heading"


RELEASE = "base/core/version.h"


def texts_name_the_release(tree):
    """Texts that name a version of our images, README and CHANGES name the release of base/core/version.h."""
    release = re.search(r'HANDFAST_VERSION "([^"]+)"', tree.texts.get(RELEASE, ""))
    release = release[1] if release else "none"
    for place, match in citations(tree, re.compile(r"handfast-(?:control|sidecar|init|cni):(\d[\w.-]*)")):
        if match[1] != release:
            yield f"{place}: {match[0]}: the release is {release}"
    if f"Version {release}," not in tree.texts.get("README.md", ""):
        yield f"README.md: does not have 'Version {release},'"
    newest = re.findall(r"^## (\S+)$", tree.texts.get("CHANGES.md", ""), re.M)[:2]
    if release not in newest or newest.index(release) and newest[0] != "Unreleased":
        yield f"CHANGES.md: begins with {' and '.join(newest)}, and not with {release} or Unreleased and {release}"


RULES = [documents_exist, sections_exist, decisions_exist, stories_exist, style_rules_exist, files_exist, cited_files_exist, documents_are_listed, pages_are_in_the_navigation,
         protocols_are_tested, symptoms_are_explained, texts_name_the_release, lines_fit, links_resolve]


if __name__ == "__main__":
    sys.exit(report_rules(RULES, tracked()))
