"""base/sandbox/processes.def against the programs that ship: each command and each process that they fork has a row, with its
filter and the file that enters it, and story 343 tries each."""

import re
import sys

from tree import ROOT, tracked

sys.path[:0] = [str(ROOT / "deploy/debian"), str(ROOT / "deploy/kubernetes")]
import packages  # noqa: E402 (the path must be set first)

TABLE = "base/sandbox/processes.def"
ROW = re.compile(r'^PROCESS\("([^"]+)", "([^"]+)", (SANDBOX_\w+), "([^"]+)", "([^"]+)"\)$', re.M)
STORY = "test/integration/343_forbidden_calls_are_refused.py"
NONE = "SANDBOX_NONE"
# The programs of images alone have no package; each other one is of a package.
IN_IMAGES = re.compile(r"docker/assemble\.sh (\S+)")
# Where a process is forked that has a row of another file: who starts a program, which begins in main().
FORKED_FOR = {
    "control/issue/issuer.c": "(signer)",
    "control/ca_source/ca_command.c": "(ca-command)",
    "control/pkcs11/token_start.c": "(token)",
    "sidecar/main.c": "(upgraded)",
    "sidecar/svid/svid_notice.c": "(svid --command)",
    "intercept/cni/starter.c": "(starter)",
    "cli/watch.c": "(watch)",
    "control/ca_source/command_runner.c": "(ca-command)",
}
# What is forked and is no process of its own.
NO_PROCESS = {
    "base/kube/kube_plugin.c": "the credential plugin of a kubeconfig, a program of others",
    "cli/page.c": "a copy of a command, confined at once",
    "intercept/rollback.c": "the guard of new rules, in the filter of handfast-init",
}


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def rows():
    return ROW.findall(text_of(TABLE))


def shipped():
    labels = {package.label for package in packages.PACKAGES}
    for name in tracked("docker/Dockerfile.*"):
        labels.update(IN_IMAGES.findall(text_of(name)))
    return {label.rpartition(":")[2]: label[2:].partition(":")[0] for label in sorted(labels)}


def commands_of(folder):
    path = ROOT / folder / "commands.def"
    return set(re.findall(r'^COMMAND\("([^"]+)"', path.read_text(encoding="utf-8"), re.M)) if path.exists() else set()


def _rows_that_are_none():
    lines = [line for line in text_of(TABLE).splitlines() if line.startswith("PROCESS(")]
    for line in lines:
        if not ROW.match(line):
            yield f"{TABLE}: not a row: {line}"


def _programs_and_commands():
    """Each program that ships, and each of its commands, has one row."""
    programs = shipped()
    for program in sorted({row[0] for row in rows()} - set(programs)):
        yield f"{TABLE}: {program} does not ship"
    for program, folder in programs.items():
        known = commands_of(folder)
        given = [one for row in rows() if row[0] == program and not row[1].startswith("(") for one in _commands(row[1], known)]
        if not any(row[0] == program for row in rows()):
            yield f"{TABLE}: no row for {program}, which ships"
        for command in sorted(known - set(given)):
            yield f"{TABLE}: no row for the command '{command}' of {program}"
        for command in sorted({one for one in given if one not in known or given.count(one) > 1}):
            yield f"{TABLE}: '{command}' of {program} is no command, or has two rows"


def _commands(text, known):
    if text == "*":
        return sorted(known)
    return text.split("; ") if ";" in text or text in known else text.split()


def _roles():
    """Each row's file enters its role, each role that a file enters is in a row, and each role has a row."""
    entered = {name: set(re.findall(r"\b(SANDBOX_[A-Z]+)\b", text_of(name)))
               for name in tracked("*.c") if not name.endswith("_test.c") and not name.startswith("base/sandbox/")}
    for program, commands, role, name, _ in rows():
        if not (ROOT / name).is_file():
            yield f"{TABLE}: {program} {commands}: there is no {name}"
        elif role != NONE and role not in entered[name]:
            yield f"{TABLE}: {program} {commands}: {name} does not enter {role}"
    for name, roles in entered.items():
        for role in sorted(roles - {row[2] for row in rows() if row[3] == name}):
            yield f"{name}: enters {role}, of which {TABLE} has no row"
    made = set(re.findall(r"^\t(SANDBOX_\w+),", text_of("base/sandbox/sandbox.h"), re.M))
    for role in sorted(made - {row[2] for row in rows()}):
        yield f"{TABLE}: no process has the role {role}"


def _forks(code, tests):
    """Each fork() is of a row, or has a reason why it makes no process of its own."""
    commands = {row[1] for row in rows()}
    forking = {name for name, text in code.items() if name not in tests and re.search(r"(?<![\w.>])v?fork\s*\(", text)}
    for name in sorted(forking - set(FORKED_FOR) - set(NO_PROCESS)):
        yield f"{name}: forks a process; give it a row in {TABLE} and in FORKED_FOR of test/lint/processes.py"
    for name in sorted((set(FORKED_FOR) | set(NO_PROCESS)) - forking):
        yield f"test/lint/processes.py: {name} forks nothing"
    for name, process in FORKED_FOR.items():
        if process not in commands:
            yield f"{TABLE}: no row {process}, which {name} forks"


def _story():
    """Story 343 has a function for each row with a filter."""
    tried = set(re.findall(r'^@tries\("([^"]+)", "([^"]+)"\)$', text_of(STORY), re.M))
    wanted = {(row[0], row[1]) for row in rows() if row[2] != NONE}
    for program, commands in sorted(wanted - tried):
        yield f"{STORY}: tries no forbidden call in {program} {commands}"
    for program, commands in sorted(tried - wanted):
        yield f"{STORY}: {program} {commands} is no row with a filter of {TABLE}"


def findings(code, tests):
    yield from _rows_that_are_none()
    yield from _programs_and_commands()
    yield from _roles()
    yield from _forks(code, tests)
    yield from _story()
