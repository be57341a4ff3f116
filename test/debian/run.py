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
import time

from fresh import (HERE, ROOT, apt_installs_all_of_them, debs, expect, make_older_packages, makes_a_minimal_machine, packages,
                   purge_removes_everything, refuses_a_number_that_is_taken, run_checks, the_examples_of_monitoring_are_there,
                   the_sboms_name_what_the_programs_link, the_settings_do_not_start_before_they_are_edited, traces)
from machine import run, wait_until
from page import (the_page_about_policy_makes_a_port_strict, the_page_leads_to_an_encrypted_call,
                  the_pages_about_backups_and_upgrades_lead_to_another_machine_and_back, workloads_are_there)
from repository import apt_takes_a_signed_repository_and_refuses_what_was_changed

sys.path[:0] = [str(ROOT / "test/lint")]
import units  # noqa: E402 (the path must be set first)

BUILD = str(ROOT / "deploy/debian/build_packages.sh")
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


# --- the packages ---

def makes_the_packages(debian):
    """And the same with an older version, uncompressed."""
    run(BUILD, debian.new, timeout=3600)
    make_older_packages(debian)


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


def lintian_has_no_warning(debian):
    """With --long: it needs a hundred packages."""
    debian.chroot("apt-get", "-q", "install", "-y", "--no-install-recommends", "lintian")
    done = debian.chroot("lintian", "--allow-root", "--tag-display-limit", "0", *("/srv/new/" + deb.name for deb in debs(debian.new)),
                         check=False)
    expect(not re.search("^[EW]:", done.stdout, re.M) and done.returncode == 0, done.stdout)


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


# --- three machines ---

def three_machines_boot(debian):
    for name, address in (("control", "192.0.2.1"), ("shop", "192.0.2.2"), ("db", "192.0.2.3")):
        debian.add_machine(name, address)
    debian.control, debian.shop, debian.db = debian.machines


def edit(machine, path, *changes):
    text = (machine.root / path).read_text()
    for pattern, put in changes:
        text, count = re.subn(pattern, put, text)
        expect(count == 1, "%s has %d times %s" % (path, count, pattern))
    (machine.root / path).write_text(text)


def the_start_fails_at_once(debian, reason):
    """And the journal has the reason."""
    started = time.monotonic()
    done = debian.control.run("systemctl", "start", "handfast-control", check=False)
    took = time.monotonic() - started
    expect(done.returncode != 0 and took < 5, "systemctl start: %d after %.1f s: %s" % (done.returncode, took, done.stdout))
    wait_until("the reason in the journal", lambda: reason in debian.control.log_of("handfast-control"), 30)
    print("    a start that cannot succeed (%s) failed after %.2f s" % (reason, took))


def with_its_port_taken(debian):
    """What may pass by itself is tried again, and the start fails all the same."""
    other = debian.control.start("/usr/bin/python3", "-m", "http.server", "15012")
    debian.others.append(other)
    wait_until("the other server", lambda: ":15012" in run("ip", "netns", "exec", debian.control.name, "ss", "-ltn").stdout, 30)
    the_start_fails_at_once(debian, "15012")
    other.kill()
    other.wait()
    debian.control.run("systemctl", "reset-failed", "handfast-control")


def installs_the_control_plane(debian):
    debian.started = time.monotonic()
    debian.control.shell("dpkg -i /srv/old/handfast-control_* /srv/old/handfast_*")
    expect(debian.control.run("systemctl", "is-enabled", "handfast-control", check=False).stdout.strip() == "disabled", "it is enabled")
    the_start_fails_at_once(debian, "networks")  # the settings lack it
    expect(debian.control.run("systemctl", "is-failed", "handfast-control").stdout.strip() == "failed", "it is tried again")
    edit(debian.control, "etc/handfast/control.yaml", (r"#mesh:\n#  networks: .*", "mesh: {networks: [192.0.2.0/24]}"))
    with_its_port_taken(debian)
    debian.control.run("systemctl", "enable", "--now", "handfast-control")
    debian.control.run("handfast", "status")  # at once: the start has returned when it serves


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
    wait_until("the server", lambda: ":8000" in run("ip", "netns", "exec", debian.db.name, "ss", "-ltn").stdout, 30)
    call(debian)
    wait_until("a line of the access log", lambda: encrypted_calls(debian) == 1, 30)
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


def no_program_ran_unconfined(debian):
    """Each unit's filter leaves its programs the calls for their own: no line of a journal denies it."""
    for machine in debian.machines:
        lines = machine.run("journalctl", "--no-pager", "-o", "cat").stdout.splitlines()
        found = [line for line in lines if "running without" in line]
        expect(found == [], "%s: %s" % (machine.name, "; ".join(found[:5])))


def state_of(machine, unit):
    return " ".join(machine.run("systemctl", "show", "-P", "ActiveState,SubState", unit).stdout.split())


def reload_has_the_variables_of_the_unit(debian):
    """Also when a line is removed from it: nothing comes from the process before."""
    def drain_deadline():
        debian.db.shell("systemctl daemon-reload && systemctl reload handfast-sidecar")
        rows = json.loads(debian.db.run("curl", "-s", "http://127.0.0.1:15000/config").stdout)["settings"]
        return next(row["value"] for row in rows if row["key"] == "drain_deadline")
    before = drain_deadline()
    debian.db.shell("mkdir -p /etc/systemd/system/handfast-sidecar.service.d; printf '[Service]\\nEnvironment=HANDFAST_SIDECAR_DRAIN_DEADLINE=33s\\n' "
                    ">/etc/systemd/system/handfast-sidecar.service.d/own.conf")
    expect(drain_deadline() == "33s", "the unit's variable is not in force")
    debian.db.shell("rm /etc/systemd/system/handfast-sidecar.service.d/own.conf")
    expect(drain_deadline() == before, "a variable that the unit no longer has is still in force")
    call(debian)


def a_control_plane_that_ends_by_itself_ends_its_unit(debian):
    debian.control.shell("kill -TERM $(systemctl show -P MainPID handfast-control)")
    wait_until("the end of the unit", lambda: state_of(debian.control, "handfast-control") == "inactive dead", 60)
    debian.control.run("systemctl", "start", "handfast-control")
    debian.control.run("handfast", "status")


def reload_reads_the_settings(debian):
    before = debian.db.run("systemctl", "show", "-P", "MainPID", "handfast-sidecar").stdout
    debian.db.shell("echo 'log: {level: debug}' >>/etc/handfast/sidecar.yaml; systemctl reload handfast-sidecar")
    wait_until("a new main process", lambda: debian.db.run("systemctl", "show", "-P", "MainPID", "handfast-sidecar").stdout != before, 30)
    wait_until("log.level in force", lambda: " debug " in debian.db.log_of("handfast-sidecar"), 30)
    before = debian.db.run("systemctl", "show", "-P", "MainPID", "handfast-sidecar").stdout
    debian.db.shell("echo 'drain_deadline: 20s' >>/etc/handfast/sidecar.yaml; systemctl kill -s HUP --kill-whom=main handfast-sidecar")
    wait_until("drain_deadline in force", lambda: "drain_deadline" in debian.db.log_of("handfast-sidecar"), 30)
    expect(debian.db.run("systemctl", "show", "-P", "MainPID", "handfast-sidecar").stdout == before, "SIGHUP took a new process")
    debian.control.shell("echo 'log: {level: debug}' >>/etc/handfast/control.yaml; systemctl reload handfast-control")
    wait_until("log.level in force", lambda: "log.level" in debian.control.log_of("handfast-control"), 30)
    wait_until("the end of the reload", lambda: state_of(debian.control, "handfast-control") == "active running", 30)
    debian.control.shell("cp /etc/handfast/control.yaml /srv/kept; echo 'mesh.claim_grace: 1m' >>/etc/handfast/control.yaml")
    done = debian.control.run("systemctl", "reload", "handfast-control", check=False)
    expect(done.returncode != 0, "a reload with an error in the file succeeds")
    wait_until("the reason in the journal", lambda: "mesh: {claim_grace: ...}" in debian.control.log_of("handfast-control"), 30)
    debian.control.shell("cp /srv/kept /etc/handfast/control.yaml; systemctl reload handfast-control")
    debian.db.shell("systemctl reload handfast-init && handfast-init check --profile host")
    call(debian)


def rules_last_through_a_restart_of_nftables(debian):
    """Which flushes all of them, as its unit does on Debian; and so does its first start."""
    encrypted = encrypted_calls(debian)
    for command in (("enable", "--now"), ("restart",), ("reload",)):
        debian.db.run("systemctl", *command, "nftables")
        wait_until("rules after %s of nftables" % command[0], lambda: has_rules(debian.db), 30)
        debian.db.run("handfast-init", "check", "--profile", "host")
        call(debian)
    wait_until("encrypted calls", lambda: encrypted_calls(debian) == encrypted + 3, 30)
    debian.db.run("systemctl", "disable", "--now", "nftables")
    wait_until("the condition without rules", lambda: debian.db.run("handfast", "check", check=False).returncode == 1, 15)
    debian.db.run("systemctl", "reload-or-restart", "handfast-init")  # as handfast check has it
    wait_until("readiness", lambda: debian.db.run("handfast", "check", check=False).returncode == 0, 15)


def the_rules_beside_a_control_plane_leave_its_ports_alone(debian):
    debian.control.shell("dpkg -i /srv/old/handfast-init_* && systemctl start handfast-init")
    rules = run("ip", "netns", "exec", debian.control.name, "nft", "list", "table", "inet", "handfast").stdout
    expect("15012, 15014" in rules, "15012 is redirected: %s" % rules)
    wait_until("the report of up in the journal", lambda: "written" in debian.control.log_of("handfast-init"), 30)
    notes = debian.control.log_of("handfast-init")
    expect("control_plane" not in notes, "the report of up: %s" % notes)
    debian.control.shell("dpkg --purge handfast-init")


# --- upgrade, removal ---

def kept(machine, *paths):
    return machine.run("sha256sum", *paths).stdout


def an_upgrade_keeps_settings_state_and_connections(debian):
    """A call that fails ends the client with an exception."""
    states, calls = {}, debian.shop.start("/usr/bin/python3", "-c", CALLS, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                          stderr=subprocess.STDOUT, text=True)
    debian.others.append(calls)
    wait_until("its first connection", lambda: "192.0.2.3:8000" in run("ip", "netns", "exec", debian.shop.name, "ss", "-tn").stdout, 30)
    for machine, kind in ((debian.control, "control"), (debian.shop, "sidecar"), (debian.db, "sidecar")):
        key = machine.shell("find /var/lib/handfast-%s -type f -path '*key*' ! -name epoch ! -name epoch.spare" % kind).stdout.split()
        expect(key, "no key in the state of %s" % machine.name)
        states[machine] = [*key, "/etc/handfast/%s.yaml" % kind], kept(machine, *key, "/etc/handfast/%s.yaml" % kind)
    for machine in debian.machines:
        machine.shell("for one in $(dpkg-query -W -f '${Package} ' 'handfast*'); do set -- \"$@\" /srv/new/${one}_*; done; dpkg -i \"$@\"")
    for machine, (paths, sums) in states.items():
        now = kept(machine, *paths)
        expect(now == sums, "%s: settings or keys have changed: %s, now %s" % (machine.name, sums, now))
    output = calls.communicate("", timeout=120)[0]
    expect(calls.returncode == 0, "a call failed during the upgrade: %s" % output[-1500:])
    print("    answered during the upgrade: %s on one connection, %s on new ones; none failed" % tuple(output.split()))
    for machine in (debian.shop, debian.db):
        machine.run("handfast-sidecar", "wait")
        machine.run("handfast-init", "check", "--profile", "host")
        version = machine.run("handfast-sidecar", "--version").stdout.split()[1]
        wait_until("a new process", lambda: "%s for cluster.local" % version in machine.log_of("handfast-sidecar"), 30)
        restarts = lambda: machine.run("systemctl", "show", "-P", "NRestarts,ActiveState", "handfast-sidecar").stdout.split()
        wait_until("a unit that was not restarted", lambda: restarts() == ["0", "active"], 30, restarts)


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


def a_sidecar_that_is_removed_alone_is_reported_by_all(debian):
    """The package, and both checks, name the way out."""
    done = debian.shop.run("dpkg", "-r", "handfast-sidecar")
    expect("handfast-init down" in done.stdout, "dpkg has no warning: %s" % done.stdout)
    done = debian.shop.run("handfast-init", "check", "--profile", "host", check=False)
    expect(done.returncode == 1 and "no sidecar listens" in done.stdout, "handfast-init check: %d %s" % (done.returncode, done.stdout))
    done = debian.shop.run("handfast", "check", check=False)
    expect(done.returncode == 69 and "handfast-init down" in done.stdout, "handfast check: %d %s" % (done.returncode, done.stdout))
    debian.shop.shell("dpkg -i /srv/new/handfast-sidecar_* && systemctl start handfast-sidecar && handfast-sidecar wait")


def a_purge_as_on_the_page_leaves_no_rules(debian):
    debian.shop.shell("handfast-sidecar drain; dpkg --purge handfast-init handfast-sidecar")
    expect(not has_rules(debian.shop), "the rules are left")


def a_purge_of_running_programs_removes_everything(debian):
    debian.control.shell("touch /etc/handfast/page.token")
    for machine in debian.machines:
        done = machine.shell("dpkg --purge $(dpkg-query -W -f '${Package} ' 'handfast*')")
        left = traces(machine.root)
        expect(left == [], "left after a purge on %s: %s" % (machine.name, " ".join(left)))
        expect(machine is not debian.control or "the keys and the store of the mesh were deleted" in done.stdout, done.stdout)


CHECKS = [makes_the_packages, the_same_commit_gives_the_same_bytes, and_the_same_images, makes_a_minimal_machine,
          refuses_a_number_that_is_taken, apt_takes_a_signed_repository_and_refuses_what_was_changed,
          apt_installs_all_of_them, the_examples_of_monitoring_are_there,
          the_sboms_name_what_the_programs_link, the_settings_do_not_start_before_they_are_edited,
          purge_removes_everything, workloads_are_there, three_machines_boot, installs_the_control_plane, installs_the_sidecars,
          the_first_call_is_encrypted, the_rules_work, the_units_are_valid_and_confined, no_program_ran_unconfined,
          reload_reads_the_settings, reload_has_the_variables_of_the_unit, a_control_plane_that_ends_by_itself_ends_its_unit,
          rules_last_through_a_restart_of_nftables,
          the_rules_beside_a_control_plane_leave_its_ports_alone,
          an_upgrade_keeps_settings_state_and_connections, a_machine_that_starts_again_has_rules_and_sidecar,
          removal_keeps_settings_and_state, a_sidecar_that_is_removed_alone_is_reported_by_all, a_purge_as_on_the_page_leaves_no_rules, a_purge_of_running_programs_removes_everything,
          no_program_ran_unconfined, the_page_leads_to_an_encrypted_call, the_page_about_policy_makes_a_port_strict,
          the_pages_about_backups_and_upgrades_lead_to_another_machine_and_back, no_program_ran_unconfined]


LONG = [another_folder_compiles_to_the_same_bytes, lintian_has_no_warning, the_library_of_spdx_accepts_the_sboms]  # before the purge


def main():
    if set(sys.argv[1:]) - {"--keep", "--long"}:
        print(__doc__, file=sys.stderr)
        return 64
    at = CHECKS.index(purge_removes_everything)
    return run_checks(CHECKS[:at] + (LONG if "--long" in sys.argv else []) + CHECKS[at:], keep="--keep" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
