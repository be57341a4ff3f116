#!/usr/bin/env python3
"""Inspects the linked programs: their hardening, their needs at run time, and the libraries that they list. Prints a line per finding and the sizes, then `N passed, N failed` where N counts properties.

    hardening.py FOLDER [ROOT]    the folder in which they were built; for programs of arm64 also that of its libraries,
    with which qemu-user runs them (test/arm64)
    hardening.py --labels         what to build"""

import pathlib
import re
import subprocess
import sys

import libraries
import sbom

ROOT = pathlib.Path(__file__).resolve().parents[2]

# handfast-init needs libnftables, which Debian has only as a shared library (docs/design.md, "Facts about the dependencies");
# handfast-pkcs11 loads a vendor's module, and is started by the control plane alone: it has no --version.
PROGRAMS = {
    "sidecar/handfast-sidecar": "static",
    "control/handfast-control": "static",
    "cli/handfast": "static",
    "intercept/handfast-init": "dynamic",
    "intercept/cni/handfast-cni": "static",
    "control/pkcs11/handfast-pkcs11": "dynamic",
}
WITHOUT_VERSION = "control/pkcs11/handfast-pkcs11"
ALLOWED_NEEDED = {word for library in sbom.table() for word in library.archives.split() if ".so." in word}
ARM64_ROOT = sys.argv[2] if len(sys.argv) > 2 else None
TOOLS, RUNNER = "", []
if ARM64_ROOT:
    TOOLS, RUNNER = "aarch64-linux-gnu-", ["/usr/bin/qemu-aarch64-static", "-L", ARM64_ROOT]

# What has no function that returns its version.
NOT_IN_VERSION = {"libnftables"}


def output(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def linked_libraries(program):
    label = "//%s:%s" % tuple(program.rsplit("/", 1))
    rules = output("bazel", "query", "--noshow_progress", f"kind('cc_library', deps({label}))")
    return set(re.findall(r"^//third_party/(\w+):|^@(boringssl)//", rules, re.M))


def position(path):
    head, dynamic = output("readelf", "-hW", path), output("readelf", "-dW", path)
    yield "position-independent", "DYN (Position-Independent" in head and " PIE" in dynamic
    yield "bound at start (BIND_NOW)", "BIND_NOW" in dynamic and re.search(r"FLAGS_1.*\bNOW\b", dynamic)
    yield "no RPATH", not re.search(r"\((RPATH|RUNPATH)\)", dynamic)


def segments(path):
    table = output("readelf", "-lW", path)
    yield "relocations read-only (RELRO)", "GNU_RELRO" in table
    yield "no executable stack", re.search(r"GNU_STACK.* RW +0x", table)
    yield "no segment both writable and executable", not re.search(r"LOAD .* RWE ", table)


def code(path):
    symbols = output("readelf", "-sW", path)
    yield "stack protector", "__stack_chk_fail" in symbols
    yield "FORTIFY", re.search(r" __(mem|str|v?f?s?n?printf|read|recv|fd|get)\w*_chk", symbols)
    # Debian 12's crt1.o has no CET note, and the linker keeps the note only if every object has it; so inspect the code.
    main = output(TOOLS + "objdump", "-d", "--no-show-raw-insn", "--disassemble=main", path)
    marks = "paciasp" if ARM64_ROOT else "endbr64"  # paciasp is a branch target, too
    yield f"branch targets marked ({marks})", re.search(rf"<main>:\n\s*[0-9a-f]+:\s+{marks}", main)


def loading(path, kind):
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "-dW", path)))
    interpreter = "INTERP" in output("readelf", "-lW", path)
    if kind == "static":
        yield "static: no interpreter", not interpreter
        yield f"static: needs no library, needs {sorted(needed)}", not needed
    else:
        yield "dynamic: has an interpreter", interpreter
        yield f"dynamic: needs {sorted(ALLOWED_NEEDED)} only, needs {sorted(needed)}", needed <= ALLOWED_NEEDED


def versions(path, program):
    if program == WITHOUT_VERSION:
        return
    release = re.search(r'HANDFAST_VERSION "(.*)"', (ROOT / "base/core/version.h").read_text()).group(1)
    versions = output(*RUNNER, path, "--version")
    name = program.rsplit("/", 1)[-1]
    yield f"--version begins with {name} {release}", versions.splitlines()[0] == f"{name} {release}"
    named = {line.split()[0] for line in versions.splitlines()[1:]}
    folders = {local or external for local, external in linked_libraries(program)}
    label = "//%s:%s" % tuple(program.rsplit("/", 1))
    yield "the SBOM's reader finds what Bazel links", folders - set(libraries.NOT_LINKED) == sbom.folders_of(label) - set(libraries.NOT_LINKED)
    linked = {library.name for library in sbom.libraries_of(label)} - NOT_IN_VERSION
    yield f"--version names {sorted(linked)}, names {sorted(named)}", linked == named


def main():
    if sys.argv[1] == "--labels":
        print("\n".join("//{}:{}".format(*program.rsplit("/", 1)) for program in PROGRAMS))
        return 0
    passed = failed = 0
    for program, kind in PROGRAMS.items():
        path = str(pathlib.Path(sys.argv[1]) / program)
        for properties in (position(path), segments(path), code(path), loading(path, kind), versions(path, program)):
            for what, holds in properties:
                passed, failed = passed + bool(holds), failed + (not holds)
                if not holds:
                    print(f"{program}: expected: {what}")
        text, data, bss = output(TOOLS + "size", path).splitlines()[1].split()[:3]
        print(f"{program}: {pathlib.Path(path).stat().st_size:,} bytes; text {int(text):,}, data {int(data):,}, bss {int(bss):,}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
