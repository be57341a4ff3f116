"""A story that is left standing: a shell in one of its hosts, or the commands to enter each and to take it down.

Without a terminal a process of its own, the keeper, runs the story and holds what it made. `take_down()` ends the
keeper, which removes everything as at the end of any story. standing.json in the story's folder names both."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import traceback

from .expect import StoryFailure, wait_until
from .namespace import environment, remove_netns
from .sidecar import Sidecar
from .topology import Topology, remove_all

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_FILE, _LOG = "standing.json", "keeper.log"
_DOWN_S = 60.0  # sidecars drain, databases stop


class _Down(BaseException):
    """The keeper got the signal to end."""


def enter_command(host):
    return "nsenter --net=/run/netns/%s -- bash" % host.netns


def _topologies(story):
    return [resource for resource in story.owned if isinstance(resource, Topology)]


def _programs(story):
    """{host: commands to try there}"""
    commands = {}
    for resource in story.owned:
        if hasattr(resource, "commands_to_try"):
            commands.setdefault(resource.host, []).extend(resource.commands_to_try())
    return commands


def _hosts(story):
    """Hosts with a sidecar first, so that the first one is a pod; routers last."""
    pods = [resource.host for resource in story.owned if isinstance(resource, Sidecar)]
    hosts = [host for net in _topologies(story) for host in net.hosts.values()]
    ordered = pods + hosts + [net.router for net in _topologies(story)]
    return list(dict.fromkeys(ordered))


def description(story):
    """The lines that a person needs: how to enter each host, and what to try there."""
    lines, commands = [], _programs(story)
    for host in _hosts(story):
        lines.append("%-10s %s" % (host.name, enter_command(host)))
        lines += ["               " + command for command in commands.get(host, [])]
    return lines


def shell(story, _passed):
    """A shell in the first pod, on the terminal; everything is removed when it ends."""
    hosts = _hosts(story)
    if not hosts:
        print("the story made no host, so nothing is left standing", flush=True)
        return
    print("\n".join(["left standing until you leave this shell, which is in %s:" % hosts[0].name] + description(story)),
          flush=True)
    path = "%s:%s" % (os.path.join(story.root, "bin"), os.environ.get("PATH", os.defpath))
    subprocess.call(["nsenter", "--net=/run/netns/" + hosts[0].netns, "--", "bash"], cwd=story.root,
                    env=environment({"PATH": path}))


def run_in_keeper(run):
    """run(before_close) runs a story and returns whether it passed. Returns that as soon as it is known and the story
    stands; the keeper, a process of its own, goes on until take_down()."""
    read_end, write_end = os.pipe()
    sys.stdout.flush()
    runner = os.getpid()
    if os.fork() == 0:
        os.close(read_end)
        _be_keeper(run, runner, write_end)
    os.close(write_end)
    with open(read_end, "rb") as result:
        return result.read(1) == b"p"


def _be_keeper(run, runner, write_end):
    code = 1
    try:
        _end_with(runner)
        code = 0 if run(lambda story, passed: _stand(story, passed, write_end)) else 1
    except _Down:
        pass
    except BaseException:  # it must not go on in the code of the runner, of which it is a copy
        traceback.print_exc()
    finally:
        remove_all()
        sys.stdout.flush()
        os._exit(code)


def _end_with(runner):
    """Until the story stands, the keeper gets SIGTERM when the runner ends."""
    signal.signal(signal.SIGTERM, _on_down)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != runner:
        raise _Down()


def _on_down(*_):
    raise _Down()


def _stand(story, passed, write_end):
    with contextlib.suppress(_Down):
        signal.signal(signal.SIGTERM, _on_down)
        if not _hosts(story):
            print("the story made no host, so nothing is left standing", flush=True)
            os.write(write_end, b"p" if passed else b"f")
            return
        _libc.prctl(_PR_SET_PDEATHSIG, 0)
        os.setsid()
        _write_state(story)
        print("\n".join(["left standing:"] + description(story) + ["take it down with"]))
        print("    test/run_stories.py --down %s" % story.root, flush=True)
        _detach(os.path.join(story.root, _LOG))
        os.write(write_end, b"p" if passed else b"f")
        os.close(write_end)
        while True:  # not pause(): a signal just before it would be waited for again
            time.sleep(1)  # duration: between two looks


def _detach(log_path):
    """So that no reader waits for the end of the keeper's output."""
    with open(os.devnull) as null, open(log_path, "a") as log:
        for target, source in ((0, null), (1, log), (2, log)):
            os.dup2(source.fileno(), target)


def _start_time(pid):
    """Of a process that runs, so that a process id that is used again is not taken for it; None: it has ended."""
    with contextlib.suppress(OSError), open("/proc/%d/stat" % pid) as file:
        fields = file.read().rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]


def _write_state(story):
    state = {"keeper": os.getpid(), "started": _start_time(os.getpid()), "netns": [host.netns for host in _hosts(story)]}
    with open(os.path.join(story.root, _FILE), "w") as file:
        json.dump(state, file)


def _folder_of(folder):
    """The folder of the story that stands, given that or the folder above it."""
    inside = [os.path.join(folder, name) for name in sorted(os.listdir(folder))] if os.path.isdir(folder) else []
    found = [path for path in [folder] + inside if os.path.exists(os.path.join(path, _FILE))]
    if len(found) != 1:
        raise StoryFailure("expected one story that was left standing in %s, found %d" % (folder, len(found)))
    return found[0]


def take_down(folder):
    """Ends the keeper and removes what it held. The logs stay. Returns the folder of the story."""
    folder = _folder_of(folder)
    with open(os.path.join(folder, _FILE)) as file:
        state = json.load(file)
    runs = lambda: _start_time(state["keeper"]) == state["started"]
    if runs():
        with contextlib.suppress(ProcessLookupError):  # it may end at this moment
            os.kill(state["keeper"], signal.SIGTERM)
        wait_until("process %d, which holds the story, to end" % state["keeper"], lambda: not runs(), _DOWN_S)
    for netns in state["netns"]:  # of a keeper that was killed
        remove_netns(netns)
    os.unlink(os.path.join(folder, _FILE))
    return folder
