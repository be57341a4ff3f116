#!/usr/bin/env python3
"""Code that nothing needs: functions that tests alone call, functions that a header declares for their own file alone, names
that stand nowhere but where they are declared, and members that nothing reads. Prints a line per finding, then `N passed, N failed`, where N counts
rules. house_rules.py runs the same rules.

The rules count words and do not parse C: a name that is used anywhere counts as used. So they find less than there is, and
what they find is dead."""

import collections
import json
import re
import subprocess
import sys

import build_graph
from tree import ROOT, report_rules, tracked


# Functions that only tests call, each with its reason.
ONLY_TESTS_CALL = {
    "clock_fake_advance": "the clock that tests set",
    "clock_fake_init": "the clock that tests set",
    "distributor_counts": "how much work an answer cost, which a test bounds",
    "distributor_num_charged": "what counts for the limits, which a test compares",
    "h2_session_has_settings": "a state that a test waits for",
    "h2_session_num_streams": "what a test counts that streams are given back",
    "listener_num_pauses": "tests count pauses; programs are called at each",
    "web_identity_ref": "of the webhook, which is in work",
    "registry_num_resolutions": "how much work an answer cost, which a test bounds",
    "serve_num_connections": "programs count where they open and close",
    "serve_num_streams": "programs count where they open and close",
    "signature_num_computed": "how much work a trust state cost, which a test bounds",
    "store_open": "tests open a store alone; the control plane judges it first",
    "tls_session_alert": "which alert was sent, which tests compare with RFC 8446",
    "tls_session_cipher": "what was agreed, which tests compare with what we offer",
    "tls_session_is_established": "a state that a test waits for",
}

# Names that are only declared, each with its reason.
ONLY_DECLARED = {
    "PUSH_PROMISE": "the number of a frame, in a row of such numbers",
    "RPC_ALREADY_EXISTS": "gRPC's statuses, which are all there",
    "RPC_OUT_OF_RANGE": "gRPC's statuses, which are all there",
}

# Members that are only written in code that is shipped, each with its reason.
ONLY_WRITTEN = {
    "attributes": "room behind a header, which is filled through a pointer",
    "has_identity": "tests compare it",
}


def code_of(name):
    """The file without comments and string literals."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', " ", text, flags=re.S)


def words_of(text):
    return collections.Counter(re.findall(r"\w+", text))


class Tree:
    """What the rules look at: the words of each file, and what ctags finds declared."""

    def __init__(self):
        sources, tables = tracked("*.c", "*.h"), tracked("*.def")
        self.code = {name: code_of(name) for name in sources + tables}
        self.words = {name: words_of(text) for name, text in self.code.items()}
        self.tests = self.test_files(sources)
        command = ["ctags", "--languages=C", "--langmap=C:.c.h", "--kinds-C=defmp", "--fields=+nK", "--output-format=json", "-f", "-"]
        lines = subprocess.run([*command, *sources], cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
        self.tags = [json.loads(line) for line in lines]

    @staticmethod
    def test_files(sources):
        targets = build_graph.read(ROOT, tracked("BUILD", "*/BUILD"))
        shipped = {name for target in targets if not target.testonly for name in target.srcs + target.hdrs}
        only_tests = {name for target in targets if target.testonly for name in target.srcs + target.hdrs if name not in shipped}
        return only_tests | {name for name in sources if name.startswith(("test/", "bench/")) or "/test_" in name
                             or re.search(r"(_test|_test_\w+|_bench)\.[ch]$", name)}

    def kind(self, *kinds):
        return [tag for tag in self.tags if tag["kind"] in kinds]


def nothing_is_for_tests_alone(tree, only_tests_call=None):
    """A function that only tests call is dead code: it has a reason in ONLY_TESTS_CALL, or is removed with its test."""
    only_tests_call = ONLY_TESTS_CALL if only_tests_call is None else only_tests_call
    words = collections.Counter()
    for name, text in tree.code.items():
        if name not in tree.tests:
            words.update(words_of(re.sub(r"\b(?:enum|struct|union)\s+\w+", "", text)))
    places = {}
    for tag in tree.kind("function", "prototype"):
        if tag["path"] in tree.tests:
            continue
        words[tag["name"]] -= 1  # its definition and its prototype are no calls
        if tag["kind"] == "function":
            places[tag["name"]] = f"{tag['path']}:{tag['line']}"
    for name, place in sorted(places.items()):
        if words[name] <= 0 and name != "main" and name not in only_tests_call:
            yield f"{place}: nothing but tests calls {name}()"
    for name in only_tests_call:
        if name not in places or words[name] > 0:
            yield f"{name}: does not exist or is called now; remove it from ONLY_TESTS_CALL"


def nothing_is_declared_for_its_own_file(tree):
    """A function that a header declares and no other file uses is static."""
    prototypes = collections.Counter(tag["name"] for tag in tree.kind("prototype"))
    for tag in tree.kind("prototype"):
        name = tag["name"]
        if tag["path"] in tree.tests or not tag["path"].endswith(".h"):
            continue
        files = [file for file, words in tree.words.items() if words[name] > 0]
        in_headers = sum(tree.words[file][name] for file in files if file.endswith(".h"))
        if sum(not file.endswith(".h") for file in files) == 1 and in_headers == prototypes[name]:
            yield f"{tag['path']}:{tag['line']}: no other file uses {name}()"


def nothing_is_only_declared(tree, only_declared=None):
    """A constant, macro or member that is named once in the tree is declared and used by nothing."""
    only_declared = ONLY_DECLARED if only_declared is None else only_declared
    words = collections.Counter()
    for counted in tree.words.values():
        words.update(counted)
    declared = {tag["name"]: tag for tag in tree.kind("enumerator", "macro", "member")}
    for name, tag in sorted(declared.items()):
        if words[name] == 1 and name not in only_declared:
            yield f"{tag['path']}:{tag['line']}: nothing uses {name}"
    for name in only_declared:
        if words[name] != 1:
            yield f"{name}: does not exist or is used now; remove it from ONLY_DECLARED"


def nothing_is_only_written(tree, only_written=None):
    """A member that no shipped code reads is not needed, nor is what computes it. Members of one name count as one."""
    only_written = ONLY_WRITTEN if only_written is None else only_written
    shipped = [(name, text) for name, text in tree.code.items() if name not in tree.tests]
    members = collections.defaultdict(list)
    for tag in tree.kind("member"):
        members[tag["name"]].append(tag)
    read = set()
    for name, text in shipped:
        # What is named in a table is read by what the table makes.
        read.update(tree.words[name] if name.endswith(".def") else re.findall(r"(?:\.|->)\s*(\w+)\b(?!\s*=(?!=))", text))
        read.update(re.findall(r"\*\w+(?:->|\.)(\w+)\s*=(?!=)", text))  # what it points to is written, itself is read
    for name, tags in sorted(members.items()):
        places = [tag for tag in tags if tag["path"] not in tree.tests]
        if places and len(tags) == 1 and name not in read and name not in only_written:
            yield f"{places[0]['path']}:{places[0]['line']}: nothing reads {name}"
    for name in only_written:
        if name in read or name not in members:
            yield f"{name}: does not exist or is read now; remove it from ONLY_WRITTEN"


RULES = [nothing_is_for_tests_alone, nothing_is_declared_for_its_own_file, nothing_is_only_declared, nothing_is_only_written]


if __name__ == "__main__":
    sys.exit(report_rules(RULES, Tree()))
