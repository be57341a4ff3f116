"""third_party/libraries.def has every library that is linked: the SBOMs and --version name what it names."""

import re
import sys

from tree import ROOT, tracked

sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "deploy/debian")]
import packages  # noqa: E402 (the path must be set first)
import sbom  # noqa: E402

NOT_LINKED = {"cmocka": "of tests alone", "pkcs11": "a header"}
LINK_WORD = re.compile(r'"-l:?([\w.+-]+)"')


def words_without_a_row():
    """Each word of -l, of a folder of third_party and of the compiler."""
    archives = {word: library.folder for library in sbom.table() for word in library.archives.split()}
    for name in tracked("third_party/*/BUILD", "third_party/*/*.BUILD", "tools/*.bzl"):
        folder = name.split("/")[1]
        for word in LINK_WORD.findall((ROOT / name).read_text(encoding="utf-8")):
            if folder not in NOT_LINKED and word not in archives:
                yield f"{name}: {sbom.TABLE} lacks -l{word}"


def programs_without_a_row():
    """Each folder of third_party that a program which is shipped depends on."""
    known = {library.folder for library in sbom.table()} | set(NOT_LINKED)
    for package in packages.PACKAGES:
        for folder in sorted(sbom.folders_of(package.label) - known):
            yield f"{package.label}: {sbom.TABLE} lacks {folder}, which it links"


def rows_of_nothing():
    linked = set().union(*(sbom.folders_of(package.label) for package in packages.PACKAGES))
    for library in sbom.table():
        if library.folder is not None and library.folder not in linked:
            yield f"{sbom.TABLE}: no program links {library.name}"


def findings():
    for check in (words_without_a_row, programs_without_a_row, rows_of_nothing):
        yield from check()
