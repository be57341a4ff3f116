#!/usr/bin/python3
"""Handfast in about a minute: real programs in network namespaces, with claims that are checked before they are printed.

    docker/demo.py            runs the demo, prints a summary, and removes everything
    docker/demo.py --keep     keeps everything running afterwards, until Ctrl-C

Needs root. The programs come from HANDFAST_BIN (default: bazel-bin); docker/demo.sh builds them first.
Exit codes: 0 all claims hold; 1 one does not (see the last line; the logs are kept); 77 not root; 130 Ctrl-C."""

import argparse
import os
import shutil
import signal
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "test", "harness")]

from handfast_harness import StoryFailure  # noqa: E402 (the path must be set first)
from handfast_harness.namespace import pids_in  # noqa: E402
from handfast_harness.story import Story  # noqa: E402
from handfast_demo import output, scenes  # noqa: E402
from handfast_demo.stage import Stage  # noqa: E402


def keep_running(stage):
    shop, store, stranger = (stage.net.hosts[name].netns for name in ("shop", "store", "stranger"))
    output.scene(10, "Everything keeps running until Ctrl-C")
    output.text("In another terminal, as root, for example:")
    for line in ("ip netns exec %s setpriv --reuid 1000 --regid 1000 --clear-groups curl http://web/recipe" % shop,
                 "ip netns exec %s curl http://store:8080/recipe        (refused)" % stranger,
                 "ip netns exec %s curl http://127.0.0.1:15000/certs        (also /tunnels /connections /why)" % store,
                 "ip netns exec %s curl http://127.0.0.1:15020/metrics" % shop,
                 "%s status --socket %s" % (stage.story.binary("handfast"), stage.control.socket),
                 "tail -f %s" % stage.sidecar("store").process.log_path):
        output.show(line)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print()


def leftovers(netns_names, folder):
    """Namespaces, processes and files that the demo should have removed."""
    left = ["namespace " + name for name in netns_names if os.path.exists("/run/netns/" + name)]
    left += ["processes in " + name for name in netns_names if os.path.exists("/run/netns/" + name) and pids_in(name)]
    left += ["/etc/netns/" + name for name in netns_names if os.path.exists("/etc/netns/" + name)]
    return left + [folder] * os.path.exists(folder)


def play(keep):
    """None, or why the demo failed. Removes namespaces and processes in any case."""
    folder = os.path.join(tempfile.mkdtemp(prefix="handfast-demo-"), "run")
    os.chmod(os.path.dirname(folder), 0o755)
    story, names = Story(folder), []
    try:
        stage = Stage(story)
        names = [host.netns for host in [stage.net.router, *stage.net.hosts.values()]]
        scenes.play(stage)
        if keep:
            keep_running(stage)
    except StoryFailure as failure:
        return "%s\n   The logs are in %s" % (failure, folder)
    except Exception as failure:  # a demo that crashes has failed
        return "%s: %s\n   The logs are in %s" % (type(failure).__name__, failure, folder)
    except BaseException:  # Ctrl-C, SIGTERM: without logs
        story.close()
        shutil.rmtree(os.path.dirname(folder))
        raise
    finally:
        story.close()
    shutil.rmtree(os.path.dirname(folder))
    output.scene(11 if keep else 10, "Everything is removed")
    try:
        output.claim_eq(leftovers(names, folder), [], "no namespace, process or file of the demo remains")
    except StoryFailure as failure:
        return str(failure)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="keep everything running afterwards, until Ctrl-C")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("network namespaces need root; run this as root", file=sys.stderr)
        return 77
    try:
        reason = play(options.keep)
    except KeyboardInterrupt:
        print("\n   ended by Ctrl-C; everything is removed")
        return 130
    if reason is None:
        output.summary()
        return 0
    output.failed(reason)
    return 1


if __name__ == "__main__":
    sys.exit(main())
