"""The systemd units and Debian packages of deploy/debian against the tables of the programs: paths, users, ports, limits and
system calls that stand in both."""

import re
import sys

from tree import ROOT

sys.path[:0] = [str(ROOT / "deploy/debian")]
import packages  # noqa: E402 (the path must be set first)

SETTINGS = {"handfast-sidecar": "sidecar/settings.def", "handfast-control": "control/config/settings.def"}
SOCKETS = {"handfast-sidecar": "admin_socket", "handfast-control": "operator_socket"}
IMAGES = {"handfast-sidecar": "docker/Dockerfile.sidecar", "handfast-control": "docker/Dockerfile.control"}
# After these a restart would end the same way.
FINAL = ["CLI_USAGE", "CLI_DAMAGED", "CLI_DENIED"]
# The groups of calls of base/sandbox that the processes of a unit need. The other groups are of processes that these units do not
# start, but for a PKCS#11 module, which copes without some.
GROUPS = {"handfast-sidecar": "ALL|NETWORK|CONTROL", "handfast-control": "ALL|NETWORK|CONTROL", "handfast-init": "ALL|NETWORK|RULES|SIGNALS"}
# Without it a program cannot install its own filter, and runs without one.
OWN_FILTER = "seccomp"
# Allowed by the programs' own filters, refused by the units': the owner of a file is changed by root alone, and the units' commands
# dial as no other user, which `handfast-init check` does.
NOT_IN_UNITS = {"chown", "fchown", "fchownat", "setresuid"}


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def unit_of(package):
    """{key: [values]} of its unit."""
    found = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", text_of("deploy/debian/" + package.unit), re.M):
        found.setdefault(key, []).append(value)
    return found


def default_of(program, key):
    rows = re.findall(r'^SETTING\("%s", [^"]*"[^"]*", "[^"]*", "([^"]*)"' % re.escape(key), text_of(SETTINGS[program]), re.M)
    return rows[0] if rows else None


def with_units():
    return [(package, unit_of(package)) for package in packages.PACKAGES if package.unit]


def programs():
    for package, unit in with_units():
        for line in sum((unit.get(key, []) for key in ("ExecStart", "ExecStartPost", "ExecReload", "ExecStop")), []):
            path = line.lstrip("-+").split()[0]
            if path not in ("/%s/%s" % (package.path, package.name), "/bin/sh"):
                yield "%s: expected its own program, got %s" % (package.unit, path)


def folders():
    for package, unit in with_units():
        if package.name not in SETTINGS:
            continue
        state = "/var/lib/" + unit["StateDirectory"][0]
        if state != default_of(package.name, "state_dir") or unit["StateDirectoryMode"] != ["0700"]:
            yield "%s: expected the default of state_dir with mode 0700, got %s" % (package.unit, state)
        socket = default_of(package.name, SOCKETS[package.name])
        if socket.rpartition("/")[0] not in unit["ReadWritePaths"]:
            yield "%s: expected ReadWritePaths with the folder of %s" % (package.unit, socket)
        if "d %s " % socket.rpartition("/")[0] not in text_of("deploy/debian/handfast.tmpfiles"):
            yield "handfast.tmpfiles: expected the folder of %s" % socket


def users():
    exempt = int(re.search(r"#define FIXED_ID +(\d+)", text_of("base/core/fixed_ports.h"))[1])
    for package, unit in with_units():
        if not package.user:
            continue
        name, number = package.user
        if unit["User"] != [name] or unit["Group"] != [name]:
            yield "%s: expected the user and group %s" % (package.unit, name)
        if "USER %d:%d\n" % (number, number) not in text_of(IMAGES[package.name]):
            yield "%s: expected the user of %s" % (package.name, IMAGES[package.name])
        if (package.name == "handfast-sidecar") != (number == exempt):
            yield "%s: expected the number %d for the sidecar alone, which the rules exempt" % (package.name, exempt)


def exits():
    numbers = dict(re.findall(r"^EXIT_CODE\((\w+), (\d+),", text_of("base/settings/command_line/exit_codes.def"), re.M))
    expected = " ".join(numbers[symbol] for symbol in FINAL)
    for package, unit in with_units():
        if package.name in SETTINGS and unit["RestartPreventExitStatus"] != [expected]:
            yield "%s: expected RestartPreventExitStatus=%s" % (package.unit, expected)


def times():
    deadline = int(re.fullmatch(r"(\d+)s", default_of("handfast-sidecar", "drain_deadline"))[1])
    stop = int(dict(with_units_by_name())["handfast-sidecar"]["TimeoutStopSec"][0])
    if stop <= deadline:
        yield "handfast-sidecar.service: expected TimeoutStopSec above drain_deadline (%d s)" % deadline


def starts():
    for package, unit in with_units():
        if package.name in SETTINGS and unit["Type"] != ["notify"]:
            yield "%s: expected Type=notify, since the program reports when it serves" % package.unit


def with_units_by_name():
    return [(package.name, unit) for package, unit in with_units()]


def variables():
    keys = set(re.findall(r'^SETTING\("(\w+)"', text_of("intercept/settings.def"), re.M))
    for name in re.findall(r"^#?HANDFAST_INIT_(\w+)=", text_of("deploy/debian/handfast-init.default"), re.M):
        if name.lower() not in keys:
            yield "handfast-init.default: HANDFAST_INIT_%s is no setting" % name


def own_filters():
    """A list of the systemd version at hand would not do: older and newer ones differ, and only the word is sure."""
    for package, unit in with_units():
        words = unit.get("SystemCallFilter", [""])
        if OWN_FILTER not in words[0].split() or any(OWN_FILTER in value.split() for value in words[1:]):
            yield "%s: expected SystemCallFilter with %s, without which the program has no filter of its own" % (package.unit, OWN_FILTER)


def findings():
    for check in (programs, folders, users, exits, times, starts, variables, own_filters):
        yield from check()


def calls_refused(sets):
    """Calls that a program needs and its unit refuses. sets: what `systemd-analyze syscall-filter` prints."""
    members = {}
    for line in sets.splitlines():
        word = line.strip()
        if line.startswith("@"):
            members[word] = group = set()
        elif word and not word.startswith("#") and members:
            group.add(word)

    def expand(word):
        return set().union(*map(expand, members[word])) if word in members else {word}

    for package, unit in with_units():
        row = r"^CALLS\(GROUP_(?:%s), (\w+)\)" % GROUPS[package.name]
        needed = set(re.findall(row, text_of("base/sandbox/calls.def"), re.M)) - NOT_IN_UNITS
        allowed = set()
        for value in unit["SystemCallFilter"]:
            calls = set().union(*map(expand, value.lstrip("~").split()))
            allowed = allowed - calls if value.startswith("~") else allowed | calls
        for call in sorted((needed | {OWN_FILTER}) - allowed):
            yield "%s: refuses %s, which the program needs" % (package.unit, call)
