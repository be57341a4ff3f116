"""What a person at a shell has of the tables of commands: completion in a real bash, zsh and fish, of values that the
control plane knows, too, manual pages that mandoc and man accept, and --watch, which goes on through a restart of the control plane.

    control [control plane] --- client [sidecar]

Rows: none."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from handfast_harness import Mesh, expect, expect_eq, expect_in, identity_of, wait_until

DEADLINE_S = 400  # a shell takes seconds to start on a busy machine
PROGRAMS = ("handfast", "handfast-cni", "handfast-control", "handfast-init", "handfast-sidecar")

# (line, what must be offered, what must not)
LINES = [("handfast ", ("token", "ca", "policy", "why"), ("create", "--id")),
         ("handfast to", ("token",), ("status",)),
         ("handfast token ", ("create", "list", "revoke"), ("token", "status")),
         ("handfast token create --", ("--id", "--ttl", "--network", "--socket", "--output"), ("--from", "--force")),
         ("handfast ca rotate --fo", ("--force",), ("--file",)),
         ("handfast --output json policy ", ("check", "show", "list"), ("json", "create")),
         ("handfast --socket /x policy check --f", ("--from", "--file"), ("--force",)),
         ("handfast status --output ", ("text", "json"), ("--output",)),
         ("handfast completion ", ("bash", "zsh", "fish"), ("token",)),
         ("handfast-sidecar wait --l", ("--listening", "--limits.max_connections"), ("--started",)),
         ("handfast-sidecar --outbound.mode ", ("off", "auto", "require"), ("run",)),
         ("handfast-control keys ", ("export", "import"), ("run",))]


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), leaf_ttl="1h")
    story.control, story.scripts = story.mesh.control, story.folder("completion")
    for program in PROGRAMS:
        for shell in ("bash", "zsh", "fish"):
            with open(_script(story, program, shell), "w") as file:
                file.write(_print(story, program, "--completion", shell))


def _print(story, program, *words):
    return story.mesh.client.run([story.binary(program), *words]).stdout


def _script(story, program, shell):
    return os.path.join(story.scripts, "%s.%s" % (program, shell))


def _offered(shell, story, line):
    program = line.split()[0]
    return {"bash": _offered_by_bash, "fish": _offered_by_fish}[shell](_script(story, program, shell), program, line)


def _offered_by_bash(script, program, line):
    asked = ("source '%s'; COMP_LINE='%s' COMP_WORDS=(%s) COMP_CWORD=%d; _%s; printf '%%s\\n' \"${COMPREPLY[@]}\"; complete -p %s"
             % (script, line, line + ("''" if line.endswith(" ") else ""), len(line.split(" ")) - 1,
                program.replace("-", "_"), program))
    lines = subprocess.run(["bash", "--norc", "-c", asked], check=True, capture_output=True, text=True).stdout.split("\n")
    expect_in("-F _" + program.replace("-", "_"), "\n".join(lines), "what bash has for " + program)
    return {one for one in lines if one and not one.startswith("complete ")}


def _offered_by_fish(script, program, line):
    asked = "source '%s'; complete -C '%s'" % (script, line)
    made = subprocess.run(["fish", "--no-config", "-c", asked], check=True, capture_output=True, text=True,
                          env={**os.environ, "HOME": os.path.dirname(script)})
    expect_eq(made.stderr, "", "what fish reports")
    return {one.partition("\t")[0] for one in made.stdout.splitlines()}


def shows_completion_in_bash_and_fish(story):
    for shell in ("bash", "fish"):
        for line, there, absent in LINES:
            offered = _offered(shell, story, line)
            expect(set(there) <= offered, "%s: '%s' offers %s, not %s" % (shell, line, sorted(offered), there))
            expect(not offered & set(absent), "%s: '%s' offers %s" % (shell, line, sorted(offered & set(absent))))
    expect({"json"} == _offered("bash", story, "handfast status --output j"), "bash: a value")
    expect("--output=json" in _offered("fish", story, "handfast status --output=j"), "fish: a value behind '='")
    expect_eq(_print(story, "handfast", "completion", "bash"), _print(story, "handfast", "--completion", "bash"), "both ways")
    wrong = story.mesh.client.run([story.binary("handfast"), "completion", "csh"], check=False)
    expect_eq(wrong.returncode, 64, "a shell that is not known")


class _Terminal:
    """An interactive shell at a wide terminal, which completes as a person has it."""

    def __init__(self, argv, script, setup, path=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "dumb", "PS1": "# ", "HOME": os.path.dirname(script)})
            if path:
                os.environ["PATH"] = path + ":" + os.environ["PATH"]
            os.execvp(argv[0], argv)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 1000, 0, 0))
        self.read_until("# ")
        self.type("%s; PS1='READY '\n" % setup)
        self.read_until("\nREADY ")

    def type(self, text):
        os.write(self.fd, text.encode())

    def read_until(self, text, deadline_s=60.0):
        seen, end = "", time.monotonic() + deadline_s
        while text not in re.sub("[^\n]\b", "", seen):
            expect(time.monotonic() < end, "zsh printed %r, and no %r" % (seen, text))
            if select.select([self.fd], [], [], 0.2)[0]:
                seen += os.read(self.fd, 65536).decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
        return seen

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def _zsh(script, path=None):
    return _Terminal(["zsh", "-f", "-i"], script, "autoload -Uz compinit; compinit -u -D; source %s; setopt no_beep;"
                     "unsetopt zle_bracketed_paste; LISTMAX=9999" % script, path)


def _bash(script, path=None):
    return _Terminal(["bash", "--norc", "--noprofile", "-i"], script, "source %s; bind 'set enable-bracketed-paste off' "
                     "'set bell-style none' 'set page-completions off'" % script, path)


def shows_completion_in_zsh(story):
    for program, typed, completed in (("handfast", "pol\t", "policy "), ("handfast", "policy ch\t--fr\t", "policy check --from "),
                                      ("handfast", "status --output j\t", "--output json "),
                                      ("handfast", "status --output=j\t", "--output=json"),
                                      ("handfast", "token \t\t", "create a join token for one sidecar"),
                                      ("handfast-sidecar", "wait --li\t", "--listening")):
        zsh = _zsh(_script(story, program, "zsh"))
        try:
            zsh.type("%s %s" % (program, typed))
            zsh.read_until(completed)
        finally:
            zsh.close()


def _prepare_values(story):
    control, client = story.control, story.mesh.sidecar("client")
    control.run("entry", "create", "backup", "--id", identity_of("backup"), "--selector", "unix:uid:1000")
    control.run("ban", identity_of("enemy"))
    control.run("token", "create", "--id", identity_of("x"), "--ttl", "1h")
    tokens = [row["token_id"] for row in json.loads(control.run("token", "list", "--output", "json").stdout)["tokens"]]
    wanted = identity_of("client")
    return [("ban " + wanted[:-3], wanted), ("policy check --to " + wanted[:-3], wanted), ("unban spiffe:", identity_of("enemy")),
            ("policy check --from plai", "plaintext"), ("entry show ba", "backup"), ("entry delete ba", "backup"),
            ("token revoke " + tokens[0][:6], tokens[0]), ("revoke " + client.serial()[:4], client.serial()),
            ("entry release 19", client.host.ipv4)]


def shows_completion_of_values(story):
    """Each begun value becomes the whole one, in a terminal; the line names the control plane before it or behind '='."""
    path, values = os.path.dirname(story.binary("handfast")), _prepare_values(story)
    for shell in (_bash, _zsh):
        terminal = shell(_script(story, "handfast", shell.__name__.strip("_")), path)
        try:
            for number, (begun, whole) in enumerate(values):
                terminal.type("handfast --socket%s%s %s\t" % ("= "[number % 2], story.control.socket, begun))
                terminal.read_until(whole)
                terminal.type("\x15")  # the line is empty again
        finally:
            terminal.close()
    for begun, whole in values:
        asked = "source '%s'; complete -C 'handfast --socket %s %s'" % (_script(story, "handfast", "fish"), story.control.socket, begun)
        made = subprocess.run(["fish", "--no-config", "-c", asked], check=True, capture_output=True, text=True,
                              env={**os.environ, "HOME": story.scripts, "PATH": path + ":" + os.environ["PATH"]})
        offered = [line.partition("\t")[0] for line in made.stdout.splitlines()]
        expect_eq((offered, made.stderr), ([whole], ""), "what fish offers for '%s'" % begun)


def _values(story, *words):
    """(seconds, what is printed) of what a shell runs for a line."""
    began = time.monotonic()
    done = story.control.host.run([story.binary("handfast"), "completion", "values", *words], check=False)
    took = time.monotonic() - began
    expect_eq((done.returncode, done.stderr), (0, ""), "its end")
    return took, done.stdout


def shows_that_a_shell_never_waits_for_values(story):
    """A control plane that does not answer, none at all, an API server that does not answer: nothing, within a second."""
    silent = story.own(story.control.host.listen("127.0.0.1", 0))  # takes connections, answers none
    kubeconfig = os.path.join(story.scripts, "kubeconfig")
    with open(kubeconfig, "w") as file:
        json.dump({"current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
                   "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:%d" % silent.getsockname()[1]}}],
                   "users": [{"name": "x", "user": {"token": "x"}}]}, file)
    pids = [story.control.process.pid] + story.control.process.children()
    lines = [("identities", "--", "--socket", story.control.socket, "ban", "spiffe:"),
             ("pods", "--", "--kubeconfig", kubeconfig, "certs", "pod/"),
             ("identities", "--", "--kubeconfig", kubeconfig, "ban", ""),
             ("tokens", "--", "--socket", "/missing/socket", "token", "revoke", ""),
             ("unknown", "--", "x"), ("identities", "--", "--socket")]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        for line in lines:
            took, offered = _values(story, *line)
            expect_eq(offered, "", "what is offered for %s" % (line,))
            expect(took < 2, "%s took %.2f s" % (line, took))
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    wait_until("the values again", lambda: identity_of("client") in _values(story, *lines[0])[1], 10)


def shows_manual_pages_without_a_fault(story):
    for program in PROGRAMS:
        page = _print(story, program, "--man")
        path = os.path.join(story.scripts, "%s.%d" % (program, 1 if program == "handfast" else 8))
        with open(path, "w") as file:
            file.write(page)
        lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path], capture_output=True, text=True)
        # A page is made by the build, which has no date: the same tree gives the same bytes.
        expect_eq([line for line in lint.stdout.splitlines() if "missing date" not in line], [], "faults in %s's page" % program)
        text = re.sub(".\b", "", subprocess.run(["mandoc", "-T", "utf8", "-O", "width=200", path], check=True,
                                                capture_output=True, text=True).stdout)
        listed = json.loads(_print(story, program, "--help", "--output", "json"))
        for part in [row["words"] for row in listed["commands"]] + ["--" + row["name"] for row in listed["flags"]] + \
                listed["settings"] + list(listed["exit_codes"]):
            expect_in(part, text, "the manual page of " + program)


# --- watch ---

def _watch(story, *words):
    return story.spawn(story.mesh.net.control, "watch " + " ".join(words),
                       [story.binary("handfast"), *words, "--watch", "--interval", "200ms",
                        "--socket", story.control.socket])


def shows_changes_as_lines_of_json_through_a_restart(story):
    watch = _watch(story, "ban", "list", "--output", "json")
    watch.wait_for_log("\n")
    story.control.run("ban", identity_of("foe"))
    watch.wait_for_log(identity_of("foe"))
    story.control.stop()
    watch.wait_for_log('"error"')
    story.control.start()
    wait_until("the list again", lambda: identity_of("foe") in watch.log().splitlines()[-1], 10)
    lines = [json.loads(line) for line in watch.log().splitlines()]
    # The text of the failure may change while the control plane ends and starts, which is a line each time.
    expect_eq(["bans" in line for line in lines], [True, True, *[False] * max(1, len(lines) - 3), True], "what the lines are: %s" % lines)
    expect_in("control plane", json.dumps(lines[2:-1]), "the failure")
    os.kill(watch.pid, signal.SIGINT)
    wait_until("the end", lambda: watch.exit_code is not None, 5)
    expect_eq(watch.exit_code, 0, "the exit code after SIGINT")


def shows_a_state_as_text_again_when_it_has_changed(story):
    watch = _watch(story, "policy", "list")
    watch.wait_for_log("default mode permissive")
    story.control.reload({"policy": {"default_mode": "strict"}})
    watch.wait_for_log("default mode strict")
    expect_eq(len(re.findall("^--- 20", watch.log(), re.M)), 2, "times that it was printed")
    os.kill(watch.pid, signal.SIGTERM)
    wait_until("the end", lambda: watch.exit_code is not None, 5)
    expect_eq(watch.exit_code, 0, "the exit code after SIGTERM")


def shows_that_only_states_are_watched(story):
    for words in (("ban", identity_of("x"), "--watch"), ("status", "--watch", "--interval", "1ms")):
        expect_eq(story.control.run(*words, check=False).returncode, 64, "the exit code of %s" % (words,))
    expect(identity_of("x") not in story.control.run("ban", "list").stdout, "it banned an identity")
