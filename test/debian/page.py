"""Follows the pages about hosts on three machines, as they stand there: docs/install-on-hosts.md, by packages, docs/policy.md, docs/back-up.md
("On another machine") and docs/upgrade.md ("Go back")."""

import pathlib
import re
import shutil
import sys
import time

from fresh import OLD
from machine import Failure, run, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lint"))
import documented_commands  # noqa: E402 (the path must be set first)


def workloads_are_there(debian):
    """What the page has apt install beside Handfast: its machines have no way to a mirror."""
    debian.chroot("apt-get", "-q", "install", "-y", "--no-install-recommends", "curl", "nginx-light", "iputils-arping")


def _copy_token(machines, name):
    """What the text asks of the reader."""
    token = machines["control"].root / "root" / (name + ".token")
    if name != "control" and not (machines[name].root / "root/token").exists():
        shutil.copy(token, machines[name].root / "root/token")


class Reader:
    """Who follows a page: runs its blocks, and does between them what its text asks for."""

    def __init__(self, debian):
        self.machines = {"control": debian.control, "shop": debian.shop, "db": debian.db}

    def follow(self, document):
        """{block: its output, of the last machine that ran it}"""
        outputs = {}
        for block, name in documented_commands.commands_on_debian(document):
            if "/etc/handfast/token" in block:
                _copy_token(self.machines, name)
            outputs[block] = self.machines[name].shell("cd /root\n" + block).stdout
            if "nginx-light" in block:  # apt has installed it before, see above, and it is stopped
                self.machines[name].run("systemctl", "start", "nginx")
        return outputs

    def call(self, name):
        """What curl prints on a machine for the page's call."""
        return self.machines[name].run("curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", "http://192.0.2.3/",
                                       check=False).stdout


def _settle(machine):
    def status():
        return machine.run("handfast", "status", check=False).stdout
    wait_until("both sidecars at %s" % machine.name,
               lambda: len(re.findall(r"^ +spiffe://\S+ +connected ", status(), re.M)) == 2, 30, status)


def the_pages_about_backups_and_upgrades_lead_to_another_machine_and_back(debian):
    """The control plane's machine is lost: a spare one takes over its address, gets the former release, and the backup again."""
    control, spare = debian.control, debian.add_machine("spare", "192.0.2.4")
    control.shell(documented_commands.read(documented_commands.BACK_UP)[0])
    for file in ("etc/handfast/control.yaml", "etc/handfast/backup.passphrase", "var/backups/handfast/today.sealed"):
        shutil.copy(control.root / file, spare.root / "root")
    control.shell("systemctl stop handfast-control")
    run("ip", "-n", control.name, "addr", "del", "192.0.2.1/24", "dev", "switch")
    run("ip", "-n", spare.name, "addr", "add", "192.0.2.1/24", "dev", "eth0")
    debian.reader.machines["spare"] = spare
    spare.shell("ln -sfn /srv/new /root/packages; ln -sfn /srv/old /root/old")
    debian.reader.follow(documented_commands.BACK_UP)
    _settle(spare)
    debian.reader.follow(documented_commands.UPGRADE)
    if debian.reader.call("shop") != "200":
        raise Failure("the call without a control plane")
    spare.shell(documented_commands.read(documented_commands.BACK_UP)[1] + "systemctl start handfast-control")
    if spare.run("dpkg-query", "-W", "-f", "${Version}", "handfast-control").stdout != OLD:
        raise Failure("the packages of the former release are not installed")
    _settle(spare)


def output_of(outputs, text):
    return next(output for block, output in outputs.items() if text in block)


def _is_emptied(machine):
    """A journal that is younger than a second stays, and what the sidecar has written may not have arrived yet."""
    machine.shell("journalctl --rotate; journalctl --vacuum-time=1s")
    return not machine.run("journalctl", "--no-pager", "-q", "-o", "cat", "-u", "handfast-sidecar", check=False).stdout.strip()


def the_page_leads_to_an_encrypted_call(debian):
    debian.reader = Reader(debian)
    for machine in debian.reader.machines.values():
        machine.shell("ln -sfn /srv/new /root/packages; systemctl stop nginx")
        wait_until("a journal without the lines of before", lambda: _is_emptied(machine), 30)
    started = time.monotonic()
    outputs = debian.reader.follow(documented_commands.INSTALL)
    if "200 OK" not in output_of(outputs, "curl -sI"):
        raise Failure("the call: %s" % output_of(outputs, "curl -sI"))
    line = output_of(outputs, "journalctl -u handfast-sidecar")
    if not ('"encrypted":true' in line and '"source_id":"spiffe://cluster.local/ns/default/sa/shop"' in line):
        raise Failure("the access log: %s" % line[-600:])
    print("    the page, from its first command on the hosts to the encrypted call: %.1f s" % (time.monotonic() - started))


def the_page_about_policy_makes_a_port_strict(debian):
    if debian.reader.call("control") != "200":
        raise Failure("plaintext is refused before there is a policy: %s" % debian.reader.call("control"))
    outputs = debian.reader.follow(documented_commands.POLICY)
    if "plaintext" not in output_of(outputs, "handfast check"):
        raise Failure("handfast check has no port with plaintext: %s" % output_of(outputs, "handfast check"))
    wait_until("plaintext to be refused", lambda: debian.reader.call("control").startswith(("curl: (52)", "curl: (56)")), 10)
    if debian.reader.call("shop") != "200":
        raise Failure("the call by a tunnel: %s" % debian.reader.call("shop"))
