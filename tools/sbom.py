#!/usr/bin/env python3
"""What is linked into a program, as SPDX 2.3 (JSON), on the standard output; docker/assemble.sh calls it, for images and Debian
packages:

    tools/sbom.py [--sysroot FOLDER] LABEL PROGRAM ARCHITECTURE [LIBRARY ...]

PROGRAM: the stripped file. LIBRARY: paths of the shared libraries that it needs; FOLDER has those of another architecture.
The table is third_party/libraries.def; versions and hashes are those of this machine, which has linked the program. The same
program gives the same bytes, at the time SOURCE_DATE_EPOCH (0 by default)."""

import argparse
import collections
import functools
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "test/lint")]
import build_graph  # noqa: E402 (the path must be set first)

TABLE = "third_party/libraries.def"
# folder: of third_party, with which it is linked; None: always.
Library = collections.namedtuple("Library", "folder name package archives license supplier page")
Linked = collections.namedtuple("Linked", "library version purl checksum file")


def printed(*argv):
    return subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True).stdout


@functools.cache
def table():
    text = (ROOT / TABLE).read_text(encoding="utf-8")
    rows = re.findall(r"^LIBRARY\((\w+), (\w+), (.*)\)$", text, re.M)
    folders = [{"COMPILER": None, "THIRD_PARTY": symbol.lower()}.get(origin, origin.lower()) for symbol, origin, _ in rows]
    return [Library(folder, *re.findall(r'"([^"]*)"', rest)) for folder, (_, _, rest) in zip(folders, rows)]


def build_files():
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(("bazel-", "."))]
        if "BUILD" in names:
            yield str(pathlib.Path(folder, "BUILD").relative_to(ROOT))


@functools.cache
def targets():
    return {target.label: target for target in build_graph.read(ROOT, sorted(build_files()))}


def folders_of(label):
    """The folders of third_party that a program depends on."""
    found, left = set(), [label]
    while left:
        label = left.pop()
        if label in found:
            continue
        found.add(label)
        left += targets()[label].deps if label in targets() else []
    words = [re.match(r"//third_party/(\w+):|@(boringssl)//", label) for label in found]
    return {word[1] or word[2] for word in words if word}


def libraries_of(label):
    """The rows of what a program links, in the order of the table. A folder without a row, as of a header alone, is left to
    the lint (test/lint/libraries.py)."""
    folders = folders_of(label) | {None}
    return [library for library in table() if library.folder in folders]


def crate(name):
    text = (ROOT / "third_party/boringssl/Cargo.lock").read_text(encoding="utf-8")
    return re.search(r'name = "%s"\nversion = "(.*)"\nsource = .*\nchecksum = "(\w+)"' % name, text).groups()


@functools.cache
def linked(library, architecture, folder=""):
    """Version and hash of a library. folder: of the arm64 packages, where they are not those of this machine."""
    if library.package == "boring-sys":
        version, checksum = crate(library.package)
        return Linked(library, version, "pkg:cargo/%s@%s" % (library.package, version), checksum, "%s-%s.crate" % (library.package, version))
    version = printed("dpkg-query", "-W", "-f", "${Version}", library.package)
    purl = "pkg:deb/debian/%s@%s?arch=%s" % (library.package.replace("+", "%2B"), version.replace("+", "%2B"), architecture)
    archive = next((word for word in library.archives.split() if word.endswith(".a")), None)
    if archive is None:
        return Linked(library, version, purl, None, None)
    if folder:
        path = next(pathlib.Path(folder, "usr/lib").rglob(archive))
    else:
        path = pathlib.Path(printed("gcc", "-print-file-name=" + archive).strip())
    return Linked(library, version, purl, hashlib.sha256(path.read_bytes()).hexdigest(), archive)


def identifier(*words):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", "-".join(words))


def package_of(one):
    """A package of SPDX for a library that is linked."""
    library = one.library
    found = {
        "SPDXID": identifier("Library", library.name), "name": library.name, "versionInfo": one.version,
        "supplier": "Organization: " + ("Debian" if one.purl.startswith("pkg:deb") else library.supplier),
        "originator": "Organization: " + library.supplier, "homepage": library.page, "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False, "licenseConcluded": library.license, "licenseDeclared": library.license,
        "copyrightText": "NOASSERTION",
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": one.purl}]}
    if one.checksum:
        found["packageFileName"] = one.file
        found["checksums"] = [{"algorithm": "SHA256", "checksumValue": one.checksum}]
    return found


def file_of(path, content):
    return {"SPDXID": identifier("File", path), "fileName": "./" + path, "fileTypes": ["BINARY"],
            "checksums": [{"algorithm": name, "checksumValue": hashlib.new(name.lower(), content).hexdigest()}
                          for name in ("SHA1", "SHA256")],
            "licenseConcluded": "NOASSERTION", "licenseInfoInFiles": ["NOASSERTION"], "copyrightText": "NOASSERTION"}


def verification_code(files):
    """SPDX 2.3, 7.9: of the SHA-1 of all files."""
    sums = sorted(one["checksumValue"] for file in files for one in file["checksums"] if one["algorithm"] == "SHA1")
    return hashlib.sha1("".join(sums).encode()).hexdigest()


def owner_of(path):
    """The installed package that has a library. Of arm64 on a machine of another architecture: the one that has it here."""
    if os.path.basename(path) == "ld-linux-aarch64.so.1":
        return "libc6"
    here = path.replace("aarch64-linux-gnu", printed("gcc", "-print-multiarch").strip())
    real = os.path.realpath(here)
    for name in (here, real, real.removeprefix("/usr")):
        owner = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True).stdout.split(":")[0]
        if owner:
            return owner
    raise SystemExit("no installed package has %s" % here)


def shared_package(path):
    """A package of SPDX for a shared library that the program loads: Debian's package that has it."""
    owner = owner_of(path)
    version = printed("dpkg-query", "-W", "-f", "${Version}\n", owner).split()[0]
    known = {word: library for library in table() for word in library.archives.split()}.get(os.path.basename(path))
    license_id = known.license if known else "NOASSERTION"
    return package_of(Linked(Library(None, owner, owner, "", license_id, "Debian", "NOASSERTION"), version,
                             "pkg:deb/debian/%s@%s" % (owner, version.replace("+", "%2B")), None, None))


def relation(first, kind, second):
    return {"spdxElementId": first, "relationshipType": kind, "relatedSpdxElement": second}


def document(label, program, architecture, sysroot, shared):
    """The SBOM as an object. The Debian packages of `shared` are linked when the program starts, all else by the linker."""
    name, content = label.rpartition(":")[2], pathlib.Path(program).read_bytes()
    version = re.search(r'HANDFAST_VERSION "(.*)"', (ROOT / "base/core/version.h").read_text(encoding="utf-8"))[1]
    top, file = identifier("Package", name), file_of(name, content)
    own = {"SPDXID": top, "name": name, "versionInfo": version, "supplier": "Organization: Handfast", "downloadLocation": "NOASSERTION",
           "filesAnalyzed": True, "packageVerificationCode": {"packageVerificationCodeValue": verification_code([file])},
           "licenseConcluded": "Apache-2.0", "licenseDeclared": "Apache-2.0", "licenseInfoFromFiles": ["NOASSERTION"],
           "copyrightText": "NOASSERTION"}
    relations = [relation("SPDXRef-DOCUMENT", "DESCRIBES", top), relation(top, "CONTAINS", file["SPDXID"])]
    static = [package_of(linked(library, architecture, sysroot)) for library in libraries_of(label) if not is_loaded(library, shared)]
    loaded = {one["SPDXID"]: one for one in map(shared_package, shared)}.values()
    relations += [relation(file["SPDXID"], "STATIC_LINK", one["SPDXID"]) for one in static]
    relations += [relation(file["SPDXID"], "DYNAMIC_LINK", one["SPDXID"]) for one in loaded]
    written = "%s-%s-%s" % (name, version, architecture)
    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": written,
        "documentNamespace": "https://handfast.dev/spdx/%s-%s" % (written, hashlib.sha256(content).hexdigest()),
        "creationInfo": {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", 0)))),
                         "creators": ["Organization: Handfast", "Tool: handfast-sbom"]},
        "packages": [own, *static, *loaded], "files": [file], "relationships": relations}


def is_loaded(library, shared):
    return any(os.path.basename(path) in library.archives.split() for path in shared)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("label")
    parser.add_argument("program")
    parser.add_argument("architecture")
    parser.add_argument("--sysroot", default="")
    parser.add_argument("shared", nargs="*")
    found = parser.parse_args()
    print(json.dumps(document(found.label, found.program, found.architecture, found.sysroot, found.shared), indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
