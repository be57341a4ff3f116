"""What the README of a folder states, compared with the tree. It has one sentence `May use: ` with the targets of MAY_USE
of house_rules.py, each in backquotes."""

import re

SENTENCE = re.compile(r"^May use:\s+(`[^`]+`(?:,\s+`[^`]+`)*)\.(?:\s|\Z)", re.M)
IN_QUOTES = re.compile(r"`([^`\n]+)`")


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
