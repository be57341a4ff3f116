"""What the README of a folder states, compared with the tree: what the folder may use, and its files.

It has one sentence `May use: ` with the targets of MAY_USE of house_rules.py, each in backquotes, and names each file of
its folder in backquotes: with or without the ending, which is one for foo.c and foo.h, or by a pattern with an asterisk,
such as `page_*.c`. foo_private.h goes with foo."""

import fnmatch
import pathlib
import re

SENTENCE = re.compile(r"^May use:\s+(`[^`]+`(?:,\s+`[^`]+`)*)\.(?:\s|\Z)", re.M)
IN_QUOTES = re.compile(r"`([^`\n]+)`")
ENDINGS = (".c", ".h", ".def")


def uses_are_those_of_the_table(may_use, readmes):
    """may_use: {folder: targets}; readmes: {folder: text of its README}."""
    for folder, allowed in may_use.items():
        found = SENTENCE.findall(readmes.get(folder, ""))
        if len(found) != 1:
            yield f"{folder}/README.md: {len(found)} sentences of the form 'May use: `a`, `b`.'; one is needed"
            continue
        stated = IN_QUOTES.findall(found[0])
        for target in allowed:
            if target not in stated:
                yield f"{folder}/README.md: lacks `{target}`, which MAY_USE has"
        for target in stated:
            if target not in allowed:
                yield f"{folder}/README.md: has `{target}`, which MAY_USE lacks"


def _is_test(path):
    return path.stem.endswith("_test") or path.name.startswith("test_")


def _is_named(path, words):
    """A lone asterisk names nothing."""
    stem = path.stem.removesuffix("_private")
    plain = {path.stem, stem, *(each + ending for each in (path.stem, stem) for ending in ENDINGS)}
    patterns = [word for word in words if "*" in word and word.removesuffix(path.suffix).strip("*_")]
    return not plain.isdisjoint(words) or any(fnmatch.fnmatchcase(name, word) for name in (path.name, path.stem) for word in patterns)


def files_are_named(names, readmes):
    """names: the tracked files; readmes: {folder: text}. A folder without a README is another rule's finding."""
    words = {folder: {word.strip(",;:") for quoted in IN_QUOTES.findall(text) for word in quoted.split()} for folder, text in readmes.items()}
    for path in map(pathlib.PurePosixPath, names):
        folder = str(path.parent)
        if path.suffix in ENDINGS and folder in words and not _is_test(path) and not _is_named(path, words[folder]):
            yield f"{folder}/README.md: does not name {path.name}"
