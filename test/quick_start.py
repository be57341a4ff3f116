#!/usr/bin/python3
"""Runs README's quick start as it stands, from the packages and the build to its last command, on this machine, as root:

    test/quick_start.py

It is for an empty machine (test/fresh_machine.sh): it installs packages, and programs into /usr/local/bin. The exit code
is 0 only if the output is what README shows and nothing is left of the mesh. Story 197 has the same checks without the
packages and the build."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "test" / "lint"), str(ROOT / "test" / "harness")]
import documented_commands  # noqa: E402 (the path must be set first)
from handfast_harness.expect import StoryFailure, expect  # noqa: E402
from handfast_harness.quick_start import QuickStart, section_of  # noqa: E402

LEFT_BEHIND = ["/etc/handfast", "/run/handfast", "/run/secrets/handfast", "/var/lib/handfast-control", "/var/lib/handfast-shop",
               "/var/lib/handfast-db", "/run/netns/control", "/run/netns/shop", "/run/netns/db"]
DEADLINE_S = 3600  # it builds


def left_behind():
    """What stands on the machine of a mesh like the quick start's."""
    return [path for path in LEFT_BEHIND if os.path.exists(path)]


def run():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    quick_start = QuickStart(readme, list(documented_commands.blocks(section_of(readme))))
    done = subprocess.run(["bash", "-c", quick_start.script()], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=DEADLINE_S)
    print(done.stdout, flush=True)
    quick_start.read(done.returncode, done.stdout)
    quick_start.expect_sidecars()
    quick_start.expect_call()
    quick_start.expect_refusals()
    expect(not left_behind(), "the last block leaves %s" % ", ".join(left_behind()))


def main():
    if len(sys.argv) > 1:
        print("expected no arguments, got %s; see %s" % (sys.argv[1], __file__), file=sys.stderr)
        return 64
    if os.getuid() != 0 or left_behind():
        print("expected to be root on a machine without a mesh (%s); run test/fresh_machine.sh as root"
              % (", ".join(left_behind()) or "not root"), file=sys.stderr)
        return 77
    try:
        run()
    except StoryFailure as failure:
        print("the quick start differs from README: %s" % failure)
        return 1
    print("README's quick start ran as it stands, with the output that README shows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
