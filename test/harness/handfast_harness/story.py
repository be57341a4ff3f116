"""A story: a numbered file of test/integration whose functions test, in order, the claims of its docstring.

    \"\"\"What it tests, in one sentence.

    the topology, drawn
    \"\"\"
    DEADLINE_S = 60                                  (optional)
    LONG = "a minute, and 35 MB of packages"         (optional: runs with --long alone, and not in CI)

    def arrange(story):                              (optional: runs first)
        story.net = story.topology("a", "b")

    def shows_that_a_reaches_b(story):               (every shows_* and finding_* in the order of the file)
        expect(...)

A function that tests a row of docs/findings.md is named after the row: finding_p1_...

One function can run alone: `arrange`, then it, after those that it needs (shown.py).

The first failure ends the story. Everything that was made through `story` is removed after it in reverse order, in any
case."""

import ast
import contextlib
import importlib.util
import os
import re
import shutil
import signal
import sys
import time
import traceback

from . import shown
from .expect import StoryFailure, expect
from .process import Process
from .topology import Topology

_REPOSITORY = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
_FOLDERS = {"handfast-init": "intercept", "handfast-sidecar": "sidecar", "handfast-control": "control",
            "handfast-pkcs11": "control/pkcs11", "handfast": "cli", "handfast-cni": "intercept/cni", "herd": "test/herd", "kube_watcher": "base/kube",
            "handfast-control-dynamic": "control", "handfast-sidecar-dynamic": "sidecar", "set_clock.so": "test/preload"}


class Story:
    def __init__(self, folder):
        self.root = folder
        os.makedirs(folder)
        os.chmod(folder, 0o755)
        self._stack = contextlib.ExitStack()
        self._num = 0
        self.owned = []  # in the order in which they were made

    def close(self):
        self._stack.close()

    def own(self, resource):
        """Leaves the resource's `with` block at the end of the story; returns the resource."""
        entered = self._stack.enter_context(resource)
        self.owned.append(entered)
        return entered

    def topology(self, *names):
        return self.own(Topology(*names))

    def spawn(self, namespace, name, argv, uid=0, gid=None, env=None, cwd=None):
        """A Process that is stopped when the story ends."""
        return self.own(Process(namespace, name, argv, self.log_path("%s-%s" % (name, namespace.name)), uid, gid, env,
                                cwd))

    def folder(self, name):
        """A new folder in this story's folder, readable by every user. A name may be used again."""
        path = os.path.join(self.root, name)
        while os.path.exists(path):
            self._num += 1
            path = os.path.join(self.root, "%s-%d" % (name, self._num))
        os.makedirs(path)
        os.chmod(path, 0o755)
        return path

    def log_path(self, name):
        return os.path.join(self.root, name + ".log")

    def binary(self, name):
        """The path of one of Handfast's programs, copied to where every user may run it."""
        source = find_binary(name)
        target = os.path.join(self.root, "bin", name)
        if not os.path.exists(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(source, target)
            os.chmod(target, 0o755)
        return target


def find_binary(name):
    """Under HANDFAST_BIN (default: bazel-bin), directly or in the folder that Bazel builds it in."""
    base = os.environ.get("HANDFAST_BIN") or os.path.join(_REPOSITORY, "bazel-bin")
    for path in (os.path.join(base, name), os.path.join(base, _FOLDERS.get(name, ""), name)):
        if os.path.isfile(path):
            return os.path.realpath(path)
    raise StoryFailure("no %s under %s: build it first (bazel build //...) or set HANDFAST_BIN" % (name, base))


def discover(folder, patterns):
    names = sorted(name for name in os.listdir(folder) if re.fullmatch(r"\d{3}_\w+\.py", name))
    return [os.path.join(folder, name) for name in names if not patterns or any(_matches(name, p) for p in patterns)]


def _matches(name, pattern):
    if match := re.fullmatch(r"(\d{1,3})-(\d{1,3})", pattern):
        return int(match[1]) <= int(name[:3]) <= int(match[2])
    return int(pattern) == int(name[:3]) if pattern.isdigit() else pattern in name


def select(folder, patterns, with_earlier=False):
    """{path: the functions to run, None for all} of the stories that patterns match. `053:drains` selects one function
    by its name or by a part that only it has."""
    chosen = {}
    for pattern in patterns or [""]:
        which, colon, part = pattern.partition(":")
        paths = discover(folder, [which] if which else [])
        if colon and len(paths) != 1:
            raise shown.SelectionError("'%s' matches %d stories; one is expected before the colon" % (which, len(paths)))
        for path in paths:
            chosen.setdefault(path, []).append(part if colon else None)
    return {path: None if None in chosen[path] else shown.choose(path, chosen[path], with_earlier)
            for path in sorted(chosen)}


def is_long(path):
    """Whether a story runs with --long alone: it has LONG = the reason."""
    with open(path) as file:
        return re.search(r"^LONG = ", file.read(), re.M) is not None


def title(path):
    """The first sentence of the docstring."""
    with open(path) as file:
        docstring = ast.get_docstring(ast.parse(file.read(), path)) or ""
    paragraph = " ".join(docstring.partition("\n\n")[0].split())
    return re.split(r"\.(?:\s|$)", paragraph)[0]


def _load(path):
    sys.path.insert(0, os.path.dirname(path))
    spec = importlib.util.spec_from_file_location("story_" + os.path.basename(path)[:-3], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _on_alarm(*_):
    raise StoryFailure("the story's deadline passed")


def _run(module, story, only, ran):
    """None, or the failure: (name of the function, text). Appends to ran what has begun."""
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.alarm(getattr(module, "DEADLINE_S", 60))
    try:
        names = [name for name in vars(module) if name.startswith(shown.PREFIXES)]
        expect(names, "the story has no shows_* or finding_* function")
        for step in ["arrange"] * hasattr(module, "arrange") + [name for name in names if only is None or name in only]:
            ran.append(step)
            getattr(module, step)(story)
        return None
    except StoryFailure as failure:
        _write_traceback(story)
        return ran[-1] if ran else "loading", str(failure)
    except Exception as failure:  # an exception fails the story, and the next one runs
        _write_traceback(story)
        return ran[-1], "%s: %s" % (type(failure).__name__, failure)
    finally:
        signal.alarm(0)


def _write_traceback(story):
    with open(story.log_path("failure"), "w") as file:
        traceback.print_exc(file=file)


def _close(story):
    """None, or the error of removing the story's resources."""
    try:
        story.close()
        return None
    except Exception as failure:
        return "cleaning up", "%s: %s" % (type(failure).__name__, failure)


def _print_failure(story, failure):
    print("      in %s: %s\n      logs: %s" % (failure[0].replace("_", " "), failure[1], story.root), flush=True)


def _load_and_run(path, story, only, ran):
    try:
        return _run(_load(path), story, only, ran)
    except Exception as error:
        return "loading", "%s: %s" % (type(error).__name__, error)


def run(path, logs, keeps_logs=False, only=None, before_close=None):
    """Runs one story, or only the named functions of it; prints its line, returns whether it passed.
    before_close(story, passed): called while everything that the story made still stands."""
    name = os.path.basename(path)[:-3]
    os.makedirs(logs, exist_ok=True)
    os.chmod(logs, 0o755)
    started, ran = time.monotonic(), []
    story = Story(os.path.join(logs, name))
    closing = None
    try:
        failure = _load_and_run(path, story, only, ran)
        if before_close:
            _print_result(path, story, failure, time.monotonic() - started, only and ran)
            before_close(story, failure is None)
    finally:
        closing = _close(story)
    if not before_close:
        _print_result(path, story, failure or closing, time.monotonic() - started, only and ran)
    elif closing:
        _print_failure(story, closing)
    if not (failure or closing or keeps_logs or before_close):
        shutil.rmtree(story.root)
        with contextlib.suppress(OSError):
            os.rmdir(logs)  # if it is empty
    return not (failure or closing)


def _print_result(path, story, failure, took_s, ran):
    print("%s %s %.1f s %s" % (os.path.basename(path)[:3], "FAIL" if failure else "PASS", took_s, title(path)), flush=True)
    if ran:
        print("      ran: " + ", ".join(ran), flush=True)
    if failure:
        _print_failure(story, failure)
