"""The commands of README's quick start and of the pages about tasks run as they stand there, and print what README shows.

    newcomer: one machine with the quick start's own hosts: control, shop, db

    control [control plane] --- router --- pod [sidecar]
                                      '--- machine (rules of the profile host)"""

import os
import re
import signal
import subprocess
import sys

from handfast_harness import expect, expect_eq, needs_earlier, wait_until
from handfast_harness.machine import Machine
from handfast_harness.quick_start import QuickStart
from handfast_harness.story import find_binary

REPOSITORY = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(REPOSITORY, "test", "lint"))
import documented_commands  # noqa: E402 (the path must be set first)

DEADLINE_S = 360
PROGRAMS = ("sidecar/handfast-sidecar", "control/handfast-control", "intercept/handfast-init", "cli/handfast")
# What a reader of docs/install-on-hosts.md is asked to write into the files, as addresses of this story.
NETWORKS = '[192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, "2001:db8::/32"]'


def arrange(story):
    """The top of the repository, as a reader has it after the build."""
    story.top = story.folder("top")
    for program in PROGRAMS:
        os.makedirs(os.path.join(story.top, "bazel-bin", os.path.dirname(program)), exist_ok=True)
        os.symlink(find_binary(os.path.basename(program)), os.path.join(story.top, "bazel-bin", program))
    for folder in ("docs", "docker"):
        os.symlink(os.path.join(REPOSITORY, folder), os.path.join(story.top, folder))


def shows_that_the_quick_start_runs_as_it_stands(story):
    with open(os.path.join(REPOSITORY, "README.md"), encoding="utf-8") as file:
        readme = file.read()
    story.quick_start = QuickStart(readme, [block for block, _ in documented_commands.commands_in_order("README.md")])
    newcomer = story.own(Machine(story, "newcomer", story.top))
    code, output = newcomer.run(story.quick_start.script(), timeout_s=150)
    with open(story.log_path("quick-start"), "w") as log:
        log.write(output)
    story.quick_start.read(code, output)
    story.quick_start.expect_sidecars()


def shows_that_the_call_and_its_line_are_as_readme_prints_them(story):
    story.quick_start.expect_call()


def shows_that_the_refusals_are_as_readme_prints_them(story):
    story.quick_start.expect_refusals()


def _edit(machine, *edits):
    """What the text asks of the reader between two blocks."""
    for file, pattern, value in edits:
        code, output = machine.run("sed -i 's|%s|%s|' %s && grep -qF '%s' %s" % (pattern, value, file, value, file))
        expect_eq(code, 0, "%s in %s (%s)" % (value, file, output))


def _stop(machine, program):
    """SIGTERM to the process of that name on the machine that started first, and its end."""
    os.kill(min(machine.pids(program)), signal.SIGTERM)
    wait_until("the end of " + program, lambda: not machine.pids(program), 40)


def _wait_for_ready(machine, port):
    wait_until("%s to be ready" % machine.name,
               lambda: machine.run("curl -sf http://127.0.0.1:%d/healthz/ready" % port)[0] == 0, 40)


def shows_that_the_commands_of_tasks_run_as_they_stand(story):
    net = story.topology("control", "pod", "machine")
    hosts = {name: story.own(Machine(story, name, story.top, net.hosts[name])) for name in net.hosts}
    for host in hosts.values():
        expect_eq(host.run("install bazel-bin/*/handfast* /usr/local/bin/")[0], 0, "installing the programs")
    control = hosts["control"]
    for block, where in documented_commands.commands_of_tasks():
        host = hosts[where.split()[0]]
        if "handfast-control restore" in block:
            _stop(control, "handfast-control")
        if where.endswith("&"):
            host.background(block)
            if host is control:
                story.start_again = block
                _wait_for_ready(control, 15014)
            continue
        code, output = host.run("set -e\n" + block, timeout_s=90)
        expect_eq(code, 0, "exit code of %r (%s)" % (block, output[-400:]))
        if "control.example.yaml" in block:
            _edit(host, ("/etc/handfast/control.yaml", r"  networks: .*", "  networks: " + NETWORKS))
        if "sidecar.example.yaml" in block:
            addresses = '  address: ["%s:15012", "[%s]:15012"]' % (net.control.ipv4, net.control.ipv6)
            _edit(host, ("/etc/handfast/sidecar.yaml", r"^  address: .*", addresses))
    control.background(story.start_again)
    _wait_for_ready(control, 15014)
    wait_until("the sidecar to come back to the restored control plane",
               lambda: re.search(r"sa/cart +connected", control.run("handfast status")[1]), 40)


@needs_earlier
def shows_that_nothing_of_the_machine_changed(story):
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.split()
    expect(not {"shop", "db", "control"} & set(listed), "the quick start's hosts are on the machine")
    for path in ("/etc/handfast", "/run/secrets/handfast", "/var/lib/handfast-shop", "/var/lib/handfast-db"):
        expect(not os.path.exists(path), "%s is on the machine" % path)
