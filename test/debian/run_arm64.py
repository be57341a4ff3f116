#!/usr/bin/python3
"""The Debian packages for arm64, on amd64 by qemu-user, as root:

    test/debian/run_arm64.py [--keep]   --keep leaves the folder

Cross-builds the packages of both architectures twice, makes a minimal Debian of arm64 by debootstrap, installs, upgrades and
purges them there. No service manager runs in it: run.py has the units. Without the cross compiler and QEMU it reports that
and passes. With HANDFAST_BIN and HANDFAST_BIN_ARM64 the programs come from those folders. The last line is `N passed, N
failed`."""

import hashlib
import os
import struct
import sys

import emulation
from fresh import (NAMES, OLD, ROOT, apt_installs_all_of_them, debs, expect, make_older_packages, makes_a_minimal_machine, packages,
                   purge_removes_everything, refuses_a_number_that_is_taken, run_checks, the_examples_of_monitoring_are_there,
                   the_sboms_name_what_the_programs_link, the_settings_do_not_start_before_they_are_edited, traces)
from machine import run

BUILD = str(ROOT / "deploy/debian/build_packages.sh")
MACHINES = {"amd64": 62, "arm64": 183}  # EM_X86_64, EM_AARCH64 (elf(5))
BUILD_S = 3600


def _by_architecture(folder):
    """The packages of both are made in one folder: those of arm64 are what is installed."""
    for architecture in MACHINES:
        (folder / architecture).mkdir()
        for deb in folder.glob("*_%s.deb" % architecture):
            deb.rename(folder / architecture / deb.name)
        expect(len(debs(folder / architecture)) == len(NAMES), "packages are missing for " + architecture)


def makes_the_packages_of_both_architectures(debian):
    debian.made = debian.folder / "made"
    run(BUILD, "--arm64", debian.made, timeout=BUILD_S)
    _by_architecture(debian.made)
    debian.new = debian.made / "arm64"
    make_older_packages(debian)
    for deb in debs(debian.new):
        print("    %s: %.1f MB, sha256 %s" % (deb.name, deb.stat().st_size / 1e6, hashlib.sha256(deb.read_bytes()).hexdigest()))


def the_same_commit_gives_the_same_bytes(debian):
    again = debian.folder / "again" / "in another folder"
    run(BUILD, "--arm64", again, env={**os.environ, "TZ": "Asia/Tokyo", "LC_ALL": "C"}, timeout=BUILD_S)
    for architecture in MACHINES:
        for deb in debs(debian.made / architecture):
            expect((again / deb.name).read_bytes() == deb.read_bytes(), "%s differs from that of another build" % deb.name)


def _machine_of(path):
    """The e_machine of an ELF file; None: it is none."""
    head = path.read_bytes()[:20] if path.is_file() else b""
    return struct.unpack("<H", head[18:20])[0] if head[:4] == b"\x7fELF" else None


def each_package_is_of_its_architecture(debian):
    """Its field, its programs, and but for these and what lists their libraries the same files."""
    files = {}
    for architecture, machine in MACHINES.items():
        for name, deb in zip(NAMES, debs(debian.made / architecture)):
            tree = debian.folder / "trees" / architecture / name
            tree.parent.mkdir(parents=True, exist_ok=True)
            run("dpkg-deb", "-R", deb, tree)
            fields = dict(line.split(": ", 1) for line in (tree / "DEBIAN/control").read_text().splitlines() if ": " in line)
            expect(fields["Architecture"] == architecture, "%s: Architecture: %s" % (deb.name, fields["Architecture"]))
            found = {path.relative_to(tree): _machine_of(path) for path in tree.rglob("*")}
            programs = {str(path): number for path, number in found.items() if number is not None}
            expect(list(programs.values()) == [machine], "%s: programs %s" % (deb.name, programs))
            files.setdefault(name, []).append((sorted(map(str, found)), fields["Depends"] if "Depends" in fields else ""))
    for name, (amd64, arm64) in files.items():
        expect(amd64 == arm64, "%s: files or dependencies differ: %s, %s" % (name, amd64, arm64))


def the_machine_is_of_arm64(debian):
    expect(debian.chroot("dpkg", "--print-architecture").stdout.strip() == "arm64", "dpkg --print-architecture")
    expect(debian.chroot("uname", "-m").stdout.strip() == "aarch64", "uname -m")


def the_manual_pages_and_completions_are_those_of_the_program(debian):
    """The package has them from the program of amd64: this one prints the same."""
    for package in packages.PACKAGES:
        if package.section:
            program = "/%s/%s" % (package.path, package.name)
            for shell, path in packages.COMPLETIONS.items():
                expect(debian.chroot(program, "--completion", shell).stdout == (debian.base / (path % package.name)).read_text(),
                       "%s --completion %s differs from what the package has" % (program, shell))


def handfast_pkcs11_finds_its_libraries(debian):
    """64: the control plane alone starts it. 127: a library is missing."""
    done = debian.chroot("/usr/libexec/handfast-pkcs11", check=False)
    expect(done.returncode == 64, "exit code %d: %s" % (done.returncode, done.stdout))


def dpkg_installs_an_older_version_and_upgrades_it(debian):
    """Without apt: what they depend on is there. An edited settings file stays."""
    (debian.base / "srv/old").mkdir()
    for deb in debs(debian.old):
        (debian.base / "srv/old" / deb.name).write_bytes(deb.read_bytes())
    debian.chroot("dpkg", "-i", *("/srv/old/" + deb.name for deb in debs(debian.old)))
    settings = debian.base / "etc/handfast/sidecar.yaml"
    settings.write_text(settings.read_text() + "zone: north\n")
    before = settings.read_text()
    debian.chroot("dpkg", "-i", *("/srv/new/" + deb.name for deb in debs(debian.new)))
    rows = debian.chroot("dpkg-query", "-W", "-f", "${Package} ${Architecture} ${Version} ${db:Status-Status}\n", *NAMES).stdout
    for row in rows.splitlines():
        name, architecture, version, status = row.split()
        expect(architecture == "arm64" and version != OLD and status == "installed", row)
    expect(settings.read_text() == before, "the upgrade changed the settings")
    state = debian.base / "var/lib/handfast-sidecar"
    expect((state.stat().st_uid, state.stat().st_mode & 0o777) == (1337, 0o700), "the state folder: %s" % (state.stat(),))


def dpkg_purges_them(debian):
    debian.chroot("dpkg", "--purge", *NAMES)
    left = traces(debian.base)
    expect(left == [], "left after a purge: %s" % " ".join(left))


CHECKS = [makes_the_packages_of_both_architectures, the_same_commit_gives_the_same_bytes, each_package_is_of_its_architecture,
          makes_a_minimal_machine, the_machine_is_of_arm64, refuses_a_number_that_is_taken, apt_installs_all_of_them,
          the_examples_of_monitoring_are_there, the_sboms_name_what_the_programs_link,
          the_manual_pages_and_completions_are_those_of_the_program, handfast_pkcs11_finds_its_libraries,
          the_settings_do_not_start_before_they_are_edited, purge_removes_everything,
          dpkg_installs_an_older_version_and_upgrades_it, dpkg_purges_them]


def main():
    if set(sys.argv[1:]) - {"--keep"}:
        print(__doc__, file=sys.stderr)
        return 64
    if missing := emulation.missing():
        print("the packages for arm64 are left out: there is no %s; expected: the packages of docker/apt-packages-arm64.txt"
              % ", ".join(missing))
        print("0 passed, 0 failed")
        return 0
    with emulation.emulated():
        return run_checks(CHECKS, "arm64", keep="--keep" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
