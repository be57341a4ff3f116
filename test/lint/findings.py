#!/usr/bin/env python3
"""Each finding about release 0.1.0 has a test that bears its number: a cmocka test, an interoperability case or a statement
of a story whose name begins with finding_<row>_, and docs/findings.md lists them. Prints each row without a test, each test of
a row that does not exist, and whether the page is out of date, then `N passed, N failed`, where N counts rows and the page.

    test/lint/findings.py --table    the rows and their tests, as Markdown
    test/lint/findings.py --write    writes docs/findings.md"""

import collections
import subprocess
import sys

from tree import ROOT, report

PAGE = ROOT / "docs/findings.md"
INTRODUCTION = """# Findings about release 0.1.0

Made by `python3 test/lint/findings.py --write`. Each row is a fault or a gap that was found in release 0.1.0. Later
releases mend it, or `docs/` states it as a limit. Its tests are in the files of the last column, under names that begin
with `finding_` and the row's code: `finding_p1_...`.

The codes are not those of the abuse cases in [threats.md](threats.md): `T2` alone is an abuse case, "finding T2" is a
row of this page.

| row | what was wrong | tests in |
|---|---|---|
"""
ROWS = {
    "P1": "bytes that an application sent late left in plaintext",
    "P2": "half-closed connections leaked on both sidecars",
    "P3": "an answer after 60 s of half-close was lost",
    "P4": "a vanished peer outside the mesh was never noticed",
    "P5": "the sidecar ended before its application",
    "P6": "one source address toward the application ran out of ports",
    "P7": "connect() succeeds before the destination has answered",
    "P8": "a refused connection was not tried at the next endpoint",
    "P9": "the application does not see the client's address",
    "P10": "a segment outside the window reset a plaintext connection",
    "P11": "a flush of the connection table redirected tunnels",
    "P12": "silent peers and draining were not handled as the README stated",
    "P13": "an address family outside the mesh's networks left in plaintext without a warning",
    "P14": "a draining sidecar stayed an endpoint of its services",
    "P15": "a killed sidecar gave its application a clean end",
    "P16": "connections that are opened one after the other may arrive in another order",
    "L1": "idle plaintext connections of one host filled the table for all",
    "L2": "silent connections took every handshake slot",
    "L3": "one identity's streams filled the table and could not be freed",
    "L4": "a denied identity opened tunnels until descriptors ended",
    "L5": "one IPv6 address took what its whole /64 needed",
    "L6": "subscriptions and claims of one identity stalled the control plane",
    "L7": "a log reader that stopped froze the programs",
    "L8": "hosts without an identity could fill the log",
    "L9": "refused requests raised the limit on reset streams; draining tunnels accepted streams",
    "L10": "one identity held many addresses without proof",
    "L11": "idle streams held the whole flow-control memory",
    "L12": "a flood of ClientHellos slowed established tunnels and probes",
    "L13": "encodings, system call filters, arithmetic and a socket's name",
    "L14": "a connection limit above the descriptors was accepted",
    "L15": "socket buffers of slow readers used up the kernel's memory",
    "I1": "the control plane never accepted again after running out of descriptors",
    "I2": "an empty settings file aborted the programs",
    "I3": "a rolled-back store was accepted after enough restarts",
    "I4": "the root certificate expired without a warning",
    "I5": "a refused claim of an address was never retried",
    "I6": "two control planes at the first start destroyed the keys",
    "I7": "a backup was unusable after a ban",
    "I8": "the control plane presented an expired certificate",
    "I9": "a clock that was ahead for seconds locked sidecars out",
    "I10": "bans could not be lifted, tokens neither listed nor revoked",
    "I11": "on a full disk all identities expired without a warning",
    "I12": "facts that status, tokens, key files and readiness did not show",
    "I13": "a tunnel was used until its peer's certificate expired, and a connection was lost",
    "I14": "mass enrollment collapsed",
    "I15": "any change resolved every subscription again",
    "I16": "limits were neither logged nor counted",
    "T1": "an answer was lost to RST_STREAM(NO_ERROR) after its end",
    "T2": "peers that offer only P-256 could not connect",
    "T3": "no post-quantum key exchange, and the key exchange in use was not shown",
    "T4": "no KeyUpdate was ever sent",
    "T5": "the chain cache hashed certificates without their lengths",
    "T6": "chains, revocation lists and limits that were too strict or too lenient",
    "T7": "a withdrawn root or certificate ended no open connection",
    "T8": "a unary call without a message hung",
    "T9": "a small first window made other implementations truncate answers",
    "T10": "a tunnel accepted while draining got no GOAWAY",
    "T11": "the error code for a TCP reset",
    "O1": "advice named commands that do not exist",
    "O2": "the command line's check always succeeded",
    "O3": "pages and metrics with wrong values",
    "O4": "variables that Kubernetes sets ended the programs",
    "O5": "errors that did not name the fault",
    "O6": "inconsistent flags and exit codes",
    "O7": "metrics that the field expects were missing",
    "O8": "dead code",
    "O9": "advice that did not name the host",
}


def tests():
    """{row: [(file, name)]}"""
    pattern = r"finding_[a-z]\d+_\w+"
    done = subprocess.run(["git", "grep", "-nIoP", r"(?:def|void|case_)\s*\K%s(?=\()" % pattern, "--", "*_test.c", "test/*.py"],
                          cwd=ROOT, capture_output=True, text=True)
    found = collections.defaultdict(dict)
    for line in done.stdout.splitlines():
        name, _, test = line.split(":", 2)
        found[test.split("_")[1].upper()][name, test] = None
    return {row: list(where) for row, where in found.items()}


def page(found):
    """docs/findings.md: files and no names of tests, which are long and change."""
    files = {row: sorted({name for name, _ in where}) for row, where in found.items()}
    return INTRODUCTION + "".join("| %s | %s | %s |\n" % (row, what, "<br>".join("`%s`" % name for name in files.get(row, [])))
                                  for row, what in ROWS.items())


def gaps(found):
    """(number of rows that hold, and the page; a line per gap)"""
    without = ["%s (%s): no test" % (row, what) for row, what in ROWS.items() if row not in found]
    unknown = ["%s: no such finding: %s" % (row, where) for row, where in found.items() if row not in ROWS]
    stale = []
    if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page(found):
        stale = ["docs/findings.md is out of date; fix: python3 test/lint/findings.py --write"]
    return len(ROWS) + 1 - len(without) - len(stale), without + unknown + stale


def main():
    found = tests()
    if "--write" in sys.argv:
        PAGE.write_text(page(found), encoding="utf-8")
        return 0
    if "--table" in sys.argv:
        print("| row | what was wrong | tests |\n|---|---|---|")
        for row, what in ROWS.items():
            print("| %s | %s | %s |" % (row, what, "<br>".join("`%s` in %s" % (test, name) for name, test in found.get(row, []))))
        return 0
    return report(*gaps(found))


if __name__ == "__main__":
    sys.exit(main())
