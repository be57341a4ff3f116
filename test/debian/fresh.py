"""Checks of the Debian packages on a fresh machine without a service manager, by chroot: what run.py and run_arm64.py share."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time

from machine import Failure, Machine, run

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "deploy/debian")]
import packages  # noqa: E402 (the path must be set first)

OLD = "0.0.9-1"
NAMES = [package.name for package in packages.PACKAGES]
MAKE = str(ROOT / "test/minimal_debian.sh")


def debs(folder, *names):
    return [next(folder.glob(name + "_*_*.deb")) for name in names or NAMES]


class Debian:
    """What the checks share: the packages, the tree of a fresh machine, and the three machines. architecture: "": this one's."""

    def __init__(self, folder, architecture=""):
        self.folder, self.base, self.architecture = folder, folder / "base", architecture
        self.new, self.old = folder / "new", folder / "old"
        self.machines, self.others = [], []

    def chroot(self, *argv, **options):
        return run("chroot", self.base, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive",
                   "LC_ALL=C.UTF-8", *argv, **options)

    def close(self):
        for process in self.others:
            process.kill()
            process.wait()
        for machine in reversed(self.machines):
            machine.remove()

    def add_machine(self, name, address):
        """A booted one; the first has the switch of all."""
        machine = Machine(name, self.base, self.folder, address)
        self.machines.append(machine)
        machine.make(self.machines[0] if machine is not self.machines[0] else None)
        machine.boot()
        self.copy_to(machine)
        return machine

    def copy_to(self, machine):
        for folder in (self.old, self.new):
            shutil.copytree(folder, machine.root / "srv" / folder.name, dirs_exist_ok=True)


def expect(holds, what):
    if not holds:
        raise Failure(what)


def make_older_packages(debian):
    """The same with an older version, uncompressed."""
    debian.old.mkdir()
    for deb in debs(debian.new):
        tree = debian.folder / "tree"
        run("dpkg-deb", "-R", deb, tree)
        control = tree / "DEBIAN/control"
        control.write_text(re.sub(r"^Version: .*", "Version: " + OLD, control.read_text(), flags=re.M))
        run("dpkg-deb", "-Znone", "--build", tree, debian.old)
        shutil.rmtree(tree)


def makes_a_minimal_machine(debian):
    run("bash", "-c", '. "$1" && make_machine "$2" "$3"', "bash", MAKE, debian.base, debian.architecture, timeout=1800)
    for name in ("resolv.conf", "hosts"):
        shutil.copy("/etc/" + name, debian.base / "etc" / name)
    debian.chroot("apt-get", "-q", "update")
    debian.chroot("apt-get", "-q", "install", "-y", "--no-install-recommends", "systemd-sysv", "nftables", timeout=900)


def refuses_a_number_that_is_taken(debian):
    shutil.copytree(debian.new, debian.base / "srv/new")
    debian.chroot("useradd", "--uid", "1337", "alice")
    done = debian.chroot("dpkg", "-i", *("/srv/new/" + deb.name for deb in debs(debian.new, "handfast-sidecar")), check=False)
    expect(done.returncode != 0 and "it belongs to alice" in done.stdout, "no clear refusal: " + done.stdout)
    debian.chroot("userdel", "alice")
    expect("handfast-sidecar" not in debian.chroot("dpkg-query", "-W", "-f", "${Package} ").stdout.split(), "it is half installed")


def traces(root):
    """What has to do with Handfast below a root: paths, and rows of users and groups."""
    found = run("find", root, "-xdev", "(", "-path", root / "srv", "-o", "-path", root / "var/log", "-o", "-path", root / "proc", "-o",
                "-path", root / "sys", ")", "-prune", "-o", "-name", "*handfast*", "-print").stdout.split()
    rows = [line for name in ("passwd", "group", "shadow", "gshadow") for line in (root / "etc" / name).read_text().splitlines()
            if "handfast" in line]
    return found + rows


def apt_installs_all_of_them(debian):
    before = traces(debian.base)
    expect(before == [], "there is something of Handfast before: %s" % before)
    debian.chroot("apt-get", "-q", "install", "-y", "--no-install-recommends", *("/srv/new/" + deb.name for deb in debs(debian.new)))
    for package in packages.PACKAGES:
        program = "/%s/%s" % (package.path, package.name)
        if package.section:
            expect(package.name in debian.chroot(program, "--version").stdout, "%s does not start" % program)
    expect(debian.chroot("dpkg", "--verify").stdout == "", "dpkg --verify has findings")
    for name, number in (package.user for package in packages.PACKAGES if package.user):
        expect(debian.chroot("id", name).stdout.startswith("uid=%d(%s) gid=%d(%s)" % (number, name, number, name)), "user " + name)


def the_examples_of_monitoring_are_there(debian):
    for name in packages.MONITORING:
        here = debian.base / "usr/share/doc/handfast-control/examples" / name
        expect(here.read_bytes() == (ROOT / "deploy/monitoring" / name).read_bytes(), "%s differs from the tree's" % here)


def sbom_of(debian, package):
    return json.loads((debian.base / "usr/share/doc" / package.name / "sbom.spdx.json").read_text())


def the_sboms_name_what_the_programs_link(debian):
    for package in packages.PACKAGES:
        sbom, path = sbom_of(debian, package), debian.base / package.path / package.name
        sums = {one["algorithm"]: one["checksumValue"] for one in sbom["files"][0]["checksums"]}
        expect(sums["SHA256"] == hashlib.sha256(path.read_bytes()).hexdigest(), "%s: the hash is of another file" % package.name)
        named = {one["name"]: one["versionInfo"].partition(":")[2] or one["versionInfo"] for one in sbom["packages"][1:]}
        lines = debian.chroot("/%s/%s" % (package.path, package.name), "--version").stdout.splitlines()[1:] if package.section else []
        for name, version in (line.split(" ", 1) for line in lines):
            fits = name == "BoringSSL" or named.get(name, named.get("libc6" if name == "glibc" else "")).startswith(version)
            expect(fits, "%s: --version has %s %s, the SBOM %s" % (package.name, name, version, named))


def the_settings_do_not_start_before_they_are_edited(debian):
    for program, key in (("handfast-sidecar", "control.address"), ("handfast-control", "mesh.networks")):
        settings = "/etc/handfast/%s.yaml" % program.partition("-")[2]
        done = debian.chroot("/usr/sbin/" + program, "--config", settings, "--check", check=False)
        expect(done.returncode == 64 and key.partition(".")[2] in done.stdout and len(done.stdout.splitlines()) == 2, "%s --check: %d %s" % (program, done.returncode, done.stdout))
    expect(list((debian.base / "etc/systemd/system").glob("*.wants/handfast*")) == [], "a unit is enabled")


def purge_removes_everything(debian):
    debian.chroot("apt-get", "-q", "purge", "-y", *NAMES)
    left = traces(debian.base)
    expect(left == [], "left after a purge: %s" % " ".join(left))


def run_checks(checks, architecture="", keep=False):
    """The exit code. Each check needs what the ones before it made: those after a failure count as failed."""
    if os.getuid() != 0:
        print("expected to be root, for debootstrap and namespaces; run %s as root" % sys.argv[0], file=sys.stderr)
        return 77
    folder = pathlib.Path(tempfile.mkdtemp(prefix="handfast-debian-", dir="/var/tmp"))
    debian, passed = Debian(folder, architecture), 0
    try:
        for check in checks:
            started = time.monotonic()
            check(debian)
            passed += 1
            print("PASS %s (%.1f s)" % (check.__name__.replace("_", " "), time.monotonic() - started), flush=True)
    except Failure as failure:
        print("FAIL %s: %s" % (check.__name__.replace("_", " "), failure))
    finally:
        debian.close()
        if not keep:
            shutil.rmtree(folder)
    print("%d passed, %d failed" % (passed, len(checks) - passed))
    return 0 if passed == len(checks) else 1
