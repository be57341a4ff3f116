"""A story: a numbered file of test/integration whose functions show, one after the other, what its docstring claims.

    \"\"\"What it shows, in one line.

    the topology, drawn
    \"\"\"
    DEADLINE_S = 60                                  (optional)

    def arrange(story):                              (optional: runs first)
        story.net = story.topology("a", "b")

    def shows_that_a_reaches_b(story):               (every shows_* and finding_* in the order of the file)
        expect(...)

A statement that holds the right value for a row of a findings table is named after the row: finding_p1_...

The first statement that does not hold ends the story. What the story made through `story` is removed after it, last
made first removed, whatever happens."""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import sys
import time
import traceback

from .expect import StoryFailure, expect
from .process import Process
from .topology import Topology

_REPOSITORY = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
_FOLDERS = {"handfast-init": "intercept", "handfast-sidecar": "sidecar", "handfast-control": "control",
            "handfast": "cli", "herd": "test/herd", "handfast-control-dynamic": "control", "set_clock.so": "test/preload"}


class Story:
    def __init__(self, folder):
        self.root = folder
        os.makedirs(folder)
        os.chmod(folder, 0o755)
        self._stack = contextlib.ExitStack()
        self._num = 0

    def close(self):
        self._stack.close()

    def own(self, resource):
        """Leaves the resource's `with` block when the story is over; returns it."""
        return self._stack.enter_context(resource)

    def topology(self, *names):
        return self.own(Topology(*names))

    def spawn(self, namespace, name, argv, uid=0, gid=None, env=None, cwd=None):
        """A Process that is stopped when the story ends."""
        return self.own(Process(namespace, name, argv, self.log_path("%s-%s" % (name, namespace.name)), uid, gid, env,
                                cwd))

    def folder(self, name):
        """A new folder in this story's own, readable by every user. A name may be used again."""
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
        """The path of one of our programs, copied to where every user may run it."""
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


def title(path):
    """The first sentence of the docstring."""
    with open(path) as file:
        paragraph = " ".join(file.read().partition("\n\n")[0].split()).strip('"')
    return re.split(r"\.(?:\s|$)", paragraph)[0]


def _load(path):
    sys.path.insert(0, os.path.dirname(path))
    spec = importlib.util.spec_from_file_location("story_" + os.path.basename(path)[:-3], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _on_alarm(*_):
    raise StoryFailure("the story's deadline passed")


def _run(module, story):
    """None, or why it failed: (name of the function, text)."""
    step = "arrange"
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.alarm(getattr(module, "DEADLINE_S", 60))
    try:
        shown = [name for name in vars(module) if name.startswith(("shows_", "finding_"))]
        expect(shown, "the story shows nothing")
        for step in ["arrange"] * hasattr(module, "arrange") + shown:
            getattr(module, step)(story)
        return None
    except StoryFailure as failure:
        _write_traceback(story)
        return step, str(failure)
    except Exception as failure:  # a story that breaks is a story that fails, and the next one is told
        _write_traceback(story)
        return step, "%s: %s" % (type(failure).__name__, failure)
    finally:
        signal.alarm(0)


def _write_traceback(story):
    with open(story.log_path("failure"), "w") as file:
        traceback.print_exc(file=file)


def _close(story):
    """None, or why what the story made could not be removed."""
    try:
        story.close()
        return None
    except Exception as failure:
        return "cleaning up", "%s: %s" % (type(failure).__name__, failure)


def tell(path, logs, keep):
    """Runs one story, prints its line, returns whether it passed."""
    name = os.path.basename(path)[:-3]
    os.makedirs(logs, exist_ok=True)
    os.chmod(logs, 0o755)
    started = time.monotonic()
    story = Story(os.path.join(logs, name))
    failure = None
    try:
        failure = _run(_load(path), story)
    except Exception as error:
        failure = "loading", "%s: %s" % (type(error).__name__, error)
    finally:
        closing = _close(story)
    failure = failure or closing
    took = time.monotonic() - started
    print("%s %s %.1f s %s" % (name[:3], "FAIL" if failure else "PASS", took, title(path)), flush=True)
    if failure:
        print("      in %s: %s\n      logs: %s" % (failure[0].replace("_", " "), failure[1], story.root), flush=True)
    elif not keep:
        shutil.rmtree(story.root)
        with contextlib.suppress(OSError):
            os.rmdir(logs)  # the last one out
    return failure is None
