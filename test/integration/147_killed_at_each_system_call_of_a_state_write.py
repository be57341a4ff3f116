"""kill -9 at each system call by which state is written (strace's fault injection): what is there afterwards is the old
state or the new one, never a mixture, and what was acknowledged holds.

    control [store, keys, backup, restore: killed] --- router --- client [sidecar's files: killed]

A first run counts the calls that touch the files; then each (call, number) is a point to die at. A story of every run
takes a few of them; HANDFAST_EVERY_CALL=1 takes all."""

import collections
import json
import os
import re

from handfast_harness import Mesh, expect, expect_eq, expect_in, identity_of, needs, wait_until
from handfast_harness.control_plane import CONTROL_UID, SIDECAR_UID, private_file
from handfast_harness.process import Process

EVERY = os.environ.get("HANDFAST_EVERY_CALL") == "1"
DEADLINE_S = 3600 if EVERY else 480
CALLS = ("openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "renameat2", "unlink", "ftruncate", "fchmod",
         "link", "mkdir", "rmdir")
SQLITE = ("", "-wal", "-journal", ".lock")


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), leaf_ttl="1h")
    story.control, story.client = story.mesh.control, story.mesh.sidecar("client")
    story.number = 0
    story.points = collections.Counter()
    story.backups = os.path.join(story.control.folder, "backups")
    os.makedirs(story.backups)
    os.chown(story.backups, CONTROL_UID, CONTROL_UID)
    story.passphrase = private_file(os.path.join(story.backups, "passphrase"), "a passphrase for a story\n")


def _traced(paths, log, point, uid, argv):
    """The command line under strace, which sees calls that touch the paths, and kills at the point (call, number)."""
    words = ["strace", "-f", "-e", "quiet=attach,personality", "-e", "signal=KILL", "-o", log, "-e", "trace=" + ",".join(CALLS)]
    for path in paths:
        words += ["-P", path]
    if point:
        words += ["-e", "inject=%s:signal=KILL:when=%d" % point]
    return words + ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", *argv]


def _points(log):
    """(call, number) of each call in the log of a run that was not killed. A call is counted per thread."""
    seen, points = collections.Counter(), set()
    for line in open(log, errors="replace"):
        match = re.match(r"(\d+) +(\w+)\(", line)
        if match and match.group(2) in CALLS:
            seen[match.groups()] += 1
            points.add((match.group(2), seen[match.groups()]))
    return sorted(points)


def _was_killed(log):
    """At the point, not by what ends its process later: of two processes the other one ends some milliseconds after it."""
    with open(log, errors="replace") as file:
        return "+++ killed by SIGKILL +++" in file.read()


def _some(points, num):
    """All of them, or `num` spread over them."""
    if EVERY or len(points) <= num:
        return points
    return [points[(2 * i + 1) * len(points) // (2 * num)] for i in range(num)]


def _sweep(story, name, num, run, check):
    """run(point) -> whether it died; check() after each."""
    log = story.log_path("strace-" + name)
    run(log, None)
    check()
    for point in _some(_points(log), num):
        died = run(story.log_path("strace-one"), point)
        story.points[name + (" killed" if died else " lived")] += 1
        try:
            check()
        except Exception as failure:
            raise AssertionError("%s, killed at %s number %d: %s" % (name, *point, failure)) from failure
    expect(story.points[name + " killed"] > 0, "%s was never killed" % name)
    print("    %s: %d points, killed at %d" % (name, len(_points(log)), story.points[name + " killed"]))


def _end(process):
    """strace ends with its program."""
    for child in process.children() if process.exit_code is None else []:
        os.kill(child, 9)
    process.wait_for_exit(30)


# --- backup and restore: commands ---

def _command(story, *words):
    return [story.control._binary, *words, "--config", story.control.path, "--passphrase-file", story.passphrase]


def _run_command(story, paths, log, point, *words):
    argv = _traced(paths, log, point, CONTROL_UID, _command(story, *words))
    return story.control.host.run(argv, check=False, timeout_s=60)


def _restore(story):
    done = story.control.host.run(_command(story, "restore", "--from", os.path.join(story.backups, "one")),
                                  uid=CONTROL_UID, check=False)
    expect_eq(done.returncode, 0, "exit code of restore (%s)" % done.stderr)


def _paths(folder, *names):
    return [os.path.join(folder, name + end) for name in names for end in ("", ".new")]


def shows_that_a_backup_that_is_killed_leaves_the_one_before_or_itself(story):
    target, store = os.path.join(story.backups, "one"), os.path.join(story.control.state, "store")
    paths = [story.backups, store] + _paths(story.backups, "one") + _paths(store, *("backup.db" + end for end in SQLITE))
    good = []

    def run(log, point):
        return _run_command(story, paths, log, point, "backup", "--to", target).returncode != 0

    def check():
        content = open(target, "rb").read()
        expect(content.startswith(b"handfast-back-1\n") and len(content) > 10000, "no backup")
        good.append(content)
        expect_eq(story.control.process.exit_code, None, "exit code of the control plane")

    _sweep(story, "backup", 4, run, check)
    expect(len(set(good)) >= 1, "no backup")
    done = story.control.host.run(_command(story, "backup", "--to", target), uid=CONTROL_UID, check=False)
    expect_eq(done.returncode, 0, "exit code of a backup after all (%s)" % done.stderr)
    left = sorted(name for name in os.listdir(store) if name.startswith("backup"))
    expect_eq(left, [], "files that are left")


@needs(shows_that_a_backup_that_is_killed_leaves_the_one_before_or_itself)
def shows_that_a_restore_that_is_killed_leaves_a_state_that_starts_or_is_refused(story):
    state = story.control.state
    places = [state] + [os.path.join(state, *rest) for rest in (
        ("restore",), ("restore", "keys"), ("restore", "store"), ("keys",), ("store",), ("before-restore",))]
    files = _paths(os.path.join(state, "restore", "keys"), "root.pem", "bootstrap.pem", "intermediate.pem", "epoch")
    files += [os.path.join(state, "restore", "store", "control.db" + end) for end in SQLITE]
    story.control.run("ban", identity_of("thief"))
    seen = collections.Counter()

    def run(log, point):
        story.control.stop()
        done = _run_command(story, places + files, log, point, "restore", "--from", os.path.join(story.backups, "one"))
        return done.returncode != 0

    def check():
        process = story.control.launch()
        wait_until("a start or a refusal", lambda: process.exit_code is not None or "ready: streams" in process.log(), 40)
        seen[process.exit_code] += 1
        if process.exit_code is not None:
            expect_eq(process.exit_code, 65, "exit code of the control plane (%s)" % process.log()[-300:])
            _restore(story)
            story.control.start()
        wait_until("the operator's socket", story.control._listens_to_operators, 30)
        expect_in(identity_of("thief"), story.control.run("ban", "list").stdout, "bans")

    _sweep(story, "restore", 5, run, check)
    print("    after it: %s" % dict(seen))
    wait_until("the client to be connected", lambda: story.client.metric("handfast_control_plane_connected") == 1, 40)


# --- the control plane while it serves ---

def _launch_traced(story, paths, log, point):
    control = story.control
    argv = _traced(paths, log, point, CONTROL_UID, [control._binary, "--config", control.path])
    control.process = Process(control.host, "handfast-control", argv, story.log_path("handfast-control"))
    wait_until("it to serve or to die",
               lambda: control.process.exit_code is not None or control._listens_to_operators(), 60)


def _bans_and_tokens(story):
    bans = story.control.run("ban", "list").stdout
    tokens = story.control.run("token", "list").stdout
    return bans + tokens


def _work(story, *commands):
    """Runs the commands; the answers that came are what must hold."""
    for words in commands:
        if story.control.process.exit_code is not None:
            return
        done = story.control.run(*words, check=False)
        if done.returncode == 0 and words[0] in ("ban", "token"):
            story.acknowledged.append(words[-1])


def _check_control(story):
    story.control.start()
    found = _bans_and_tokens(story)
    for text in story.acknowledged:
        expect_in(text, found, "what was acknowledged")
    wait_until("the client to be connected", lambda: story.client.metric("handfast_control_plane_connected") == 1, 40)
    expect("refused a trust state" not in story.client.process.log(), "the sidecar refuses the trust state")
    expect_eq(json.loads(story.control.run("ca", "status", "--output", "json").stdout)["phase"] in
              ("none", "publishing", "reissuing"), True, "the phase of a rotation")
    story.control.run("audit", "verify", os.path.join(story.control.state, "store", "audit.log"))
    story.control.stop()


def _has_rotated(story):
    done = story.control.run("ca", "status", "--output", "json", check=False)
    return done.returncode != 0 or json.loads(done.stdout)["phase"] == "none"


def _sweep_control(story, name, num, paths, commands):
    story.acknowledged = []

    def run(log, point):
        story.number += 1
        if name == "keys" and story.number % 8 == 0:
            _restore(story)  # at most 15 roots are retired at a time
        _launch_traced(story, paths, log, point)
        _work(story, *commands(story.number))
        wait_until("a rotation to end", lambda: _was_killed(log) or _has_rotated(story), 60)
        died = _was_killed(log)
        if died:
            story.control.process.wait_for_exit(30)  # by itself: a control plane without its signer serves nothing
        _end(story.control.process)
        return died

    _sweep(story, name, num, run, lambda: _check_control(story))


def shows_that_the_store_holds_what_was_acknowledged(story):
    story.control.stop()
    store = os.path.join(story.control.state, "store")
    paths = [os.path.join(store, "control.db" + end) for end in SQLITE] + _paths(store, "reserve", "audit.log")
    _sweep_control(story, "store", 4, paths, lambda number: (
        ("ban", identity_of("ban-%d" % number)), ("token", "create", "--id", identity_of("token-%d" % number))))
    story.control.start()


@needs(shows_that_a_backup_that_is_killed_leaves_the_one_before_or_itself)
def shows_that_keys_are_those_of_the_store_after_each_step_of_a_rotation(story):
    story.control.stop()
    keys = os.path.join(story.control.state, "keys")
    paths = _paths(keys, "root.pem", "root-next.pem", "root-former.pem", "intermediate.pem", "epoch", "jwt.pem")

    def commands(number):
        return (("ca", "rotate"), ("ban", identity_of("during-%d" % number)))

    _sweep_control(story, "keys", 4, paths, commands)
    story.control.start()


# --- the sidecar's files ---

def _acked(story):
    return story.control.svid_holders(identity_of("client"))[0]["acked_epoch"]


def _epoch(story):
    return story.control.metrics()["handfast_control_trust_epoch"]


def shows_that_a_sidecars_files_are_the_old_or_the_new_ones(story):
    client = story.client
    wait_until("the client to be connected", lambda: client.metric("handfast_control_plane_connected") == 1, 40)
    client.stop()
    paths = _paths(client.state, "identity", "enrolled", "destinations")

    def run(log, point):
        story.number += 1
        argv = _traced(paths, log, point, SIDECAR_UID, [client._binary, "--config", client.path])
        client.process = Process(client.host, "handfast-sidecar", argv, story.log_path("handfast-sidecar-client"))
        wait_until("it to be ready or to die", lambda: client.process.exit_code is not None or client.is_ready(), 60)
        story.last = identity_of("seen-%d" % story.number)
        before = _epoch(story)
        story.control.run("ban", story.last)
        wait_until("the ban to be published", lambda: _epoch(story) > before, 30)
        wait_until("the ban to be confirmed, or its end",
                   lambda: _was_killed(log) or _acked(story) == _epoch(story), 30)
        story.was_confirmed = _acked(story) == _epoch(story)
        died = _was_killed(log)
        _end(client.process)
        return died

    def check():
        path = os.path.join(client.state, "identity")
        content = open(path, "rb").read() if os.path.exists(path) else b""
        if story.was_confirmed and content:
            expect_in(story.last.encode(), content, "what is kept after a ban was confirmed")
        client.launch()
        client.wait_until_ready()
        expect("is not used" not in client.process.log(), "the log: %s" % client.process.log()[-600:])
        client.stop()

    _sweep(story, "sidecar", 5, run, check)
    client.start()
