#!/usr/bin/python3
"""The Debian packages on minimal Debian machines with systemd, as root:

    test/debian/run.py [--long] [--keep]   --long: also compiles in another folder, and runs lintian, and
    SPDX's own check of the SBOMs; --keep leaves the folder

Makes the packages twice, of this version and of an older one; installs all of them by apt on a fresh machine; then boots
three machines (control plane, and two workloads), follows README.Debian to the first encrypted call, upgrades, removes and
purges. The programs come from the folder HANDFAST_BIN, else they are built. The last line is `N passed, N failed`."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from machine import Failure, Machine, run, wait_until
from page import the_page_about_policy_makes_a_port_strict, the_page_leads_to_an_encrypted_call, workloads_are_there
from repository import apt_takes_a_signed_repository_and_refuses_what_was_changed

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "deploy/debian"), str(ROOT / "test/lint")]
import packages  # noqa: E402 (the path must be set first)
import units  # noqa: E402

OLD = "0.0.9-1"
NAMES = [package.name for package in packages.PACKAGES]
BUILD, MAKE = str(ROOT / "deploy/debian/build_packages.sh"), str(ROOT / "test/minimal_debian.sh")
SERVER = """import http.server as h
h.SimpleHTTPRequestHandler.protocol_version = 'HTTP/1.1'
h.ThreadingHTTPServer(('0.0.0.0', 8000), h.SimpleHTTPRequestHandler).serve_forever()"""
CLIENT = "import urllib.request as r; print(r.urlopen('http://192.0.2.3:8000/', timeout=10).status)"
# Until its input ends: requests on a connection that stays open, and as many on new ones; prints how many of each were answered.
CALLS = """import http.client as h, select, sys, time
def ask(http):
    http.request('GET', '/')
    answer = http.getresponse()
    answer.read()
    return answer.status == 200
kept, old, new = h.HTTPConnection('192.0.2.3', 8000, timeout=10), 0, 0
kept.connect()
kept.auto_open = 0
while not select.select([sys.stdin], [], [], 0.02)[0]:
    old += ask(kept)
    http = h.HTTPConnection('192.0.2.3', 8000, timeout=10)
    new += ask(http)
    http.close()
print(old, new)"""


def debs(folder, *names):
    return [next(folder.glob(name + "_*_*.deb")) for name in names or NAMES]


class Debian:
    """What the checks share: the packages, the tree of a fresh machine, and the three machines."""

    def __init__(self, folder):
        self.folder, self.base = folder, folder / "base"
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

    def copy_to(self, machine):
        for folder in (self.old, self.new):
            shutil.copytree(folder, machine.root / "srv" / folder.name, dirs_exist_ok=True)


def expect(holds, what):
    if not holds:
        raise Failure(what)


# --- the packages ---

def makes_the_packages(debian):
    """And the same with an older version, uncompressed."""
    run(BUILD, debian.new)
    debian.old.mkdir()
    for deb in debs(debian.new):
        tree = debian.folder / "tree"
        run("dpkg-deb", "-R", deb, tree)
        control = tree / "DEBIAN/control"
        control.write_text(re.sub(r"^Version: .*", "Version: " + OLD, control.read_text(), flags=re.M))
        run("dpkg-deb", "-Znone", "--build", tree, debian.old)
        shutil.rmtree(tree)


def the_same_commit_gives_the_same_bytes(debian):
    again = debian.folder / "again" / "in another folder"
    run(BUILD, again, env={**os.environ, "TZ": "Asia/Tokyo", "LC_ALL": "C"})
    for deb in debs(debian.new):
        expect((again / deb.name).read_bytes() == deb.read_bytes(), "%s differs from that of another build" % deb.name)


# --- installation without a service manager, by apt ---

def and_the_same_images(debian):
    made = [debian.folder / "images", debian.folder / "again" / "images"]
    for folder in made:
        run(ROOT / "docker/build_images.sh", folder, "docker.io/handfast/", "test", "handfast-init", "handfast-cni")
    for image in sorted(made[0].iterdir()):
        expect((made[1] / image.name).read_bytes() == image.read_bytes(), "%s differs from that of another build" % image.name)


def makes_a_minimal_machine(debian):
    run("bash", "-c", '. "$1" && make_machine "$2"', "bash", MAKE, debian.base)
    for name in ("resolv.conf", "hosts"):
        shutil.copy("/etc/" + name, debian.base / "etc" / name)
    debian.chroot("apt-get", "-q", "update")
    debian.chroot("apt-get", "-q", "install", "-y", "--no-install-recommends", "systemd-sysv", "nftables")


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


def lintian_has_no_error(debian):
    """With --long: it needs a hundred packages."""
    debian.chroot("apt-get", "-q", "install", "-y", "--no-install-recommends", "lintian")
    done = debian.chroot("lintian", "--allow-root", "--tag-display-limit", "0", *("/srv/new/" + deb.name for deb in debs(debian.new)),
                         check=False)
    expect(not re.search("^E:", done.stdout, re.M) and done.returncode == 0, done.stdout)


COMPILED = ["//sidecar:handfast-sidecar", "//intercept:handfast-init"]


def another_folder_compiles_to_the_same_bytes(debian):
    """With --long: a clone, without any cache; the committed tree must be what is here."""
    clone, options = debian.folder / "clone", ["--config=opt", "--ui_event_filters=-info,-warning,-debug", *COMPILED]
    run("git", "-c", "safe.directory=*", "clone", "-q", ROOT, clone)
    base = "--output_base=%s" % (debian.folder / "bazel")
    run("bazel", "build", *options, cwd=ROOT, timeout=7200)
    run("bazel", base, "build", "--disk_cache=", *options, cwd=clone, timeout=7200)
    for label in COMPILED:
        path = pathlib.Path("bazel-bin", label.lstrip("/").replace(":", "/"))
        sums = [hashlib.sha256((folder / path).read_bytes()).hexdigest() for folder in (ROOT, clone)]
        expect(sums[0] == sums[1], "%s differs: %s" % (label, sums))
    run("bazel", base, "shutdown", cwd=clone)
    run("chmod", "-R", "u+w", debian.folder / "bazel")


def the_library_of_spdx_accepts_the_sboms(debian):
    """With --long: from its registry, by hash."""
    run(sys.executable, "-m", "venv", debian.folder / "venv")
    run(debian.folder / "venv/bin/pip", "install", "-q", "--require-hashes", "-r", HERE / "requirements.txt")
    for package in packages.PACKAGES:
        run(debian.folder / "venv/bin/pyspdxtools", "-i", debian.base / "usr/share/doc" / package.name / "sbom.spdx.json")


def purge_removes_everything(debian):
    debian.chroot("apt-get", "-q", "purge", "-y", *NAMES)
    left = traces(debian.base)
    expect(left == [], "left after a purge: %s" % " ".join(left))


# --- three machines ---

def three_machines_boot(debian):
    for name, address in (("control", "192.0.2.1"), ("shop", "192.0.2.2"), ("db", "192.0.2.3")):
        machine = Machine(name, debian.base, debian.folder, address)
        debian.machines.append(machine)
        machine.make(debian.machines[0] if machine is not debian.machines[0] else None)
        machine.boot()
        debian.copy_to(machine)
    debian.control, debian.shop, debian.db = debian.machines


def edit(machine, path, *changes):
    text = (machine.root / path).read_text()
    for pattern, put in changes:
        text, count = re.subn(pattern, put, text)
        expect(count == 1, "%s has %d times %s" % (path, count, pattern))
    (machine.root / path).write_text(text)


def installs_the_control_plane(debian):
    debian.started = time.monotonic()
    debian.control.shell("dpkg -i /srv/old/handfast-control_* /srv/old/handfast_*")
    expect(debian.control.run("systemctl", "is-enabled", "handfast-control", check=False).stdout.strip() == "disabled", "it is enabled")
    edit(debian.control, "etc/handfast/control.yaml", (r"#mesh:\n#  networks: .*", "mesh: {networks: [192.0.2.0/24]}"))
    debian.control.run("systemctl", "enable", "--now", "handfast-control")
    wait_until("the control plane's answer", lambda: debian.control.run("handfast", "status", check=False).returncode == 0, 20)


def installs_the_sidecars(debian):
    for machine, name in ((debian.shop, "shop"), (debian.db, "db")):
        machine.shell("dpkg -i /srv/old/handfast-sidecar_* /srv/old/handfast-init_* /srv/old/handfast_*")
        edit(machine, "etc/handfast/sidecar.yaml", (r"#control:\n#  address: .*", "control: {address: 192.0.2.1:15012}"), (r"\Z", "access_log: all\ndrain_minimum: 1s\n"))
        debian.control.shell("handfast token create --id spiffe://cluster.local/ns/default/sa/%s --ttl 1h >/srv/token" % name)
        shutil.copy(debian.control.root / "srv/token", machine.root / "srv/token")
        machine.shell("install -m 0600 -o handfast-sidecar -g handfast-sidecar /srv/token /etc/handfast/token")
        machine.run("systemctl", "enable", "--now", "handfast-init", "handfast-sidecar")
        machine.run("handfast-sidecar", "wait")


def call(debian):
    done = run("ip", "netns", "exec", debian.shop.name, "/usr/bin/python3", "-c", CLIENT, check=False)
    expect(done.stdout.strip() == "200", "the call fails: %s" % done.stdout[-300:])


def encrypted_calls(debian):
    return debian.db.log_of("handfast-sidecar").count('"encrypted":true')


def the_first_call_is_encrypted(debian):
    debian.others.append(debian.db.start("/usr/bin/python3", "-c", SERVER))
    wait_until("the server", lambda: ":8000" in run("ip", "netns", "exec", debian.db.name, "ss", "-ltn").stdout, 10)
    call(debian)
    wait_until("a line of the access log", lambda: encrypted_calls(debian) == 1, 10)
    print("    from the first dpkg -i to the first encrypted call: %.1f s" % (time.monotonic() - debian.started))


def the_rules_work(debian):
    for machine in (debian.shop, debian.db):
        machine.run("handfast-init", "check", "--profile", "host")
        machine.run("handfast", "check")


EXPOSURE = {"handfast-sidecar.service": 20, "handfast-control.service": 20, "handfast-init.service": 40}  # tenths, at most


def the_units_are_valid_and_confined(debian):
    for machine, names in ((debian.control, ["handfast-control.service"]), (debian.db, ["handfast-init.service", "handfast-sidecar.service"])):
        done = machine.run("systemd-analyze", "verify", "--man=no", *("/usr/lib/systemd/system/" + name for name in names), check=False)
        found = [line for line in done.stdout.splitlines() if "handfast" in line]
        expect(done.returncode == 0 and not found, "systemd-analyze verify: %s" % done.stdout)
        for name in names:
            done = machine.run("systemd-analyze", "security", "--no-pager", "--threshold=%d" % EXPOSURE[name], name, check=False)
            print("    %s" % done.stdout.strip().splitlines()[-1])
            expect(done.returncode == 0, "%s is more exposed than %s" % (name, EXPOSURE[name] / 10))
    refused = list(units.calls_refused(debian.control.run("systemd-analyze", "syscall-filter", "--no-pager").stdout))
    expect(refused == [], "; ".join(refused))


def the_programs_confine_themselves(debian):
    """The unit's filter leaves them the calls for it."""
    for machine, name in ((debian.control, "handfast-control"), (debian.shop, "handfast-sidecar"), (debian.db, "handfast-sidecar")):
        expect("running without" not in machine.log_of(name), "%s on %s: %s" % (name, machine.name, machine.log_of(name)[:2000]))


def reload_reads_the_settings(debian):
    before = debian.db.run("systemctl", "show", "-P", "MainPID", "handfast-sidecar").stdout
    debian.db.shell("echo 'log: {level: debug}' >>/etc/handfast/sidecar.yaml; systemctl reload handfast-sidecar")
    wait_until("a new main process", lambda: debian.db.run("systemctl", "show", "-P", "MainPID", "handfast-sidecar").stdout != before, 10)
    expect(" debug " in debian.db.log_of("handfast-sidecar"), "log.level is not in force")
    before = debian.db.run("systemctl", "show", "-P", "MainPID", "handfast-sidecar").stdout
    debian.db.shell("echo 'drain_deadline: 20s' >>/etc/handfast/sidecar.yaml; systemctl kill -s HUP --kill-whom=main handfast-sidecar")
    wait_until("drain_deadline in force", lambda: "drain_deadline" in debian.db.log_of("handfast-sidecar"), 10)
    expect(debian.db.run("systemctl", "show", "-P", "MainPID", "handfast-sidecar").stdout == before, "SIGHUP took a new process")
    debian.control.shell("echo 'log: {level: debug}' >>/etc/handfast/control.yaml; systemctl reload handfast-control")
    wait_until("log.level in force", lambda: "log.level" in debian.control.log_of("handfast-control"), 10)
    debian.control.shell("cp /etc/handfast/control.yaml /srv/kept; echo 'mesh.claim_grace: 1m' >>/etc/handfast/control.yaml")
    done = debian.control.run("systemctl", "reload", "handfast-control", check=False)
    expect(done.returncode != 0, "a reload with an error in the file succeeds")
    expect("mesh: {claim_grace: ...}" in debian.control.log_of("handfast-control"), "the log lacks the reason")
    debian.control.shell("cp /srv/kept /etc/handfast/control.yaml; systemctl reload handfast-control")
    debian.db.shell("systemctl reload handfast-init && handfast-init check --profile host")
    call(debian)


def rules_last_through_a_restart_of_nftables(debian):
    """Which flushes all of them, as its unit does on Debian; and so does its first start."""
    encrypted = encrypted_calls(debian)
    for command in (("enable", "--now"), ("restart",), ("reload",)):
        debian.db.run("systemctl", *command, "nftables")
        wait_until("rules after %s of nftables" % command[0], lambda: has_rules(debian.db), 10)
        debian.db.run("handfast-init", "check", "--profile", "host")
        call(debian)
    wait_until("encrypted calls", lambda: encrypted_calls(debian) == encrypted + 3, 10)
    debian.db.run("systemctl", "disable", "--now", "nftables")
    wait_until("the condition without rules", lambda: debian.db.run("handfast", "check", check=False).returncode == 1, 15)
    debian.db.run("systemctl", "reload-or-restart", "handfast-init")  # as handfast check has it
    wait_until("readiness", lambda: debian.db.run("handfast", "check", check=False).returncode == 0, 15)


def the_rules_beside_a_control_plane_leave_its_ports_alone(debian):
    debian.control.shell("dpkg -i /srv/old/handfast-init_* && systemctl start handfast-init")
    rules = run("ip", "netns", "exec", debian.control.name, "nft", "list", "table", "inet", "handfast").stdout
    expect("15012, 15014" in rules, "15012 is redirected: %s" % rules)
    notes = debian.control.log_of("handfast-init")
    expect("written" in notes and "control_plane" not in notes, "the report of up: %s" % notes)
    debian.control.shell("dpkg --purge handfast-init")


# --- upgrade, removal ---

def kept(machine, *paths):
    return machine.run("sha256sum", *paths).stdout


def an_upgrade_keeps_settings_state_and_connections(debian):
    """A call that fails ends the client with an exception."""
    states, calls = {}, debian.shop.start("/usr/bin/python3", "-c", CALLS, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                          stderr=subprocess.STDOUT, text=True)
    debian.others.append(calls)
    for machine, kind in ((debian.control, "control"), (debian.shop, "sidecar"), (debian.db, "sidecar")):
        key = machine.shell("find /var/lib/handfast-%s -type f -path '*key*' ! -name epoch" % kind).stdout.split()
        expect(key, "no key in the state of %s" % machine.name)
        states[machine] = [*key, "/etc/handfast/%s.yaml" % kind], kept(machine, *key, "/etc/handfast/%s.yaml" % kind)
    for machine in debian.machines:
        machine.shell("for one in $(dpkg-query -W -f '${Package} ' 'handfast*'); do set -- \"$@\" /srv/new/${one}_*; done; dpkg -i \"$@\"")
    for machine, (paths, sums) in states.items():
        now = kept(machine, *paths)
        expect(now == sums, "%s: settings or keys have changed: %s, now %s" % (machine.name, sums, now))
    output = calls.communicate("", timeout=30)[0]
    expect(calls.returncode == 0, "a call failed during the upgrade: %s" % output[-1500:])
    print("    answered during the upgrade: %s on one connection, %s on new ones; none failed" % tuple(output.split()))
    for machine in (debian.shop, debian.db):
        machine.run("handfast-sidecar", "wait")
        machine.run("handfast-init", "check", "--profile", "host")
        version = machine.run("handfast-sidecar", "--version").stdout.split()[1]
        expect("%s for cluster.local" % version in machine.log_of("handfast-sidecar"), "no new process")
        expect(machine.run("systemctl", "show", "-P", "NRestarts,ActiveState", "handfast-sidecar").stdout.split() == ["0", "active"],
               "the unit was restarted")


def has_rules(machine):
    return run("ip", "netns", "exec", machine.name, "nft", "list", "table", "inet", "handfast", check=False).returncode == 0


def a_machine_that_starts_again_has_rules_and_sidecar(debian):
    """By its units alone: the token is used up."""
    machine = debian.shop
    machine.shell("systemctl stop handfast-sidecar handfast-init; rm /etc/handfast/token")
    expect(not has_rules(machine), "the rules are left")
    machine.run("systemctl", "start", "multi-user.target")
    expect(has_rules(machine), "there are no rules")
    machine.run("handfast-sidecar", "wait")
    call(debian)


def removal_keeps_settings_and_state(debian):
    debian.db.shell("dpkg -r handfast-sidecar handfast-init")
    debian.db.shell("test -f /etc/handfast/sidecar.yaml && test -f /etc/default/handfast-init && test -d /var/lib/handfast-sidecar")
    expect(debian.db.run("systemctl", "is-active", "handfast-sidecar", check=False).stdout.strip() != "active", "it runs")
    expect(not has_rules(debian.db), "the rules are left")


def a_purge_as_on_the_page_leaves_no_rules(debian):
    debian.shop.shell("handfast-sidecar drain; dpkg --purge handfast-init handfast-sidecar")
    expect(not has_rules(debian.shop), "the rules are left")


def a_purge_of_running_programs_removes_everything(debian):
    for machine in debian.machines:
        machine.shell("dpkg --purge $(dpkg-query -W -f '${Package} ' 'handfast*')")
        left = traces(machine.root)
        expect(left == [], "left after a purge on %s: %s" % (machine.name, " ".join(left)))


CHECKS = [makes_the_packages, the_same_commit_gives_the_same_bytes, and_the_same_images, makes_a_minimal_machine,
          refuses_a_number_that_is_taken, apt_takes_a_signed_repository_and_refuses_what_was_changed,
          apt_installs_all_of_them, the_examples_of_monitoring_are_there,
          the_sboms_name_what_the_programs_link, the_settings_do_not_start_before_they_are_edited,
          purge_removes_everything, workloads_are_there, three_machines_boot, installs_the_control_plane, installs_the_sidecars,
          the_first_call_is_encrypted, the_rules_work, the_units_are_valid_and_confined, the_programs_confine_themselves,
          reload_reads_the_settings, rules_last_through_a_restart_of_nftables,
          the_rules_beside_a_control_plane_leave_its_ports_alone,
          an_upgrade_keeps_settings_state_and_connections, a_machine_that_starts_again_has_rules_and_sidecar,
          removal_keeps_settings_and_state, a_purge_as_on_the_page_leaves_no_rules, a_purge_of_running_programs_removes_everything,
          the_page_leads_to_an_encrypted_call, the_page_about_policy_makes_a_port_strict]


LONG = [another_folder_compiles_to_the_same_bytes, lintian_has_no_error, the_library_of_spdx_accepts_the_sboms]  # before the purge


def main():
    if set(sys.argv[1:]) - {"--keep", "--long"}:
        print(__doc__, file=sys.stderr)
        return 64
    keep, at = "--keep" in sys.argv, CHECKS.index(purge_removes_everything)
    checks = CHECKS[:at] + (LONG if "--long" in sys.argv else []) + CHECKS[at:]
    if os.getuid() != 0:
        print("expected to be root, for debootstrap and namespaces; run test/debian/run.py as root", file=sys.stderr)
        return 77
    folder = pathlib.Path(tempfile.mkdtemp(prefix="handfast-debian-", dir="/var/tmp"))
    debian, passed = Debian(folder), 0
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
    # Each check needs what the ones before it made: those after a failure count as failed.
    print("%d passed, %d failed" % (passed, len(checks) - passed))
    return 0 if passed == len(checks) else 1


if __name__ == "__main__":
    sys.exit(main())
