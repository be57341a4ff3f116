#!/usr/bin/python3
"""Measures a control plane with thousands of simulated sidecars; see bench/control/README.md.

    bench/control/run.py --sizes 100 1000         enrollment, rest, changes, crash; a minute
    bench/control/run.py --sizes 100 1000 4000 8000 15000 --last --outage 600

Needs root (a network namespace of its own, which ends with it)."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(REPOSITORY, "test", "harness")]

from control_bench import herds as herding, phases, plane as planes, report  # noqa: E402 (the path must be set first)

PROGRAMS = {"handfast-control": "//control:handfast-control", "handfast": "//cli:handfast", "herd": "//test/herd:herd"}


def options_of_command_line():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--last", action="store_true", help="with the last size also renewals, and an outage")
    parser.add_argument("--outage", type=int, default=60, help="seconds; certificates live 0.8 times as long")
    parser.add_argument("--key-exchange", help="the only one, such as X25519; default: X25519MLKEM768, as of a sidecar")
    parser.add_argument("--json", default="control-result.json", help="file for every figure; the log of the control plane is beside it")
    return parser.parse_args()


def build(folder):
    base = os.environ.get("HANDFAST_BIN")
    if not base:
        subprocess.run(["bazel", "build", "--config=opt", *PROGRAMS.values()], check=True, cwd=REPOSITORY)
        base = subprocess.run(["bazel", "info", "--config=opt", "bazel-bin"], check=True, cwd=REPOSITORY,
                              capture_output=True, text=True).stdout.strip()
    paths = {}
    for name, label in PROGRAMS.items():
        paths[name] = os.path.join(folder, name)
        shutil.copy(os.path.join(base, label[2:].replace(":", "/")), paths[name])
        os.chmod(paths[name], 0o755)
    return paths


def one_size(binaries, num, options, is_last):
    # in memory, so that the disk is not measured
    with tempfile.TemporaryDirectory(prefix="handfast-control-bench-", dir="/dev/shm") as folder:
        os.chmod(folder, 0o755)
        ttl_s = int(0.8 * options.outage) if is_last else 3600
        plane, herds = planes.Plane(folder, binaries, "%ds" % ttl_s, options.key_exchange), None
        result = {"sidecars": num, "leaf_ttl_s": ttl_s}
        try:
            plane.start()
            herds = herding.Herds(binaries["herd"], plane.socket, folder, num, options.key_exchange)
            enrolled = time.monotonic()
            steps = [phases.enroll, phases.rest, phases.push, phases.ban, phases.reconnect, phases.crash]
            for step in steps:
                result.update(step(plane, herds))
                print("%d sidecars: %s after %.0f s" % (num, step.__name__, time.monotonic() - enrolled), file=sys.stderr)
            if is_last:
                result.update(phases.renewals(plane, herds, enrolled + 0.7 * ttl_s))
                result.update(phases.outage(plane, herds, options.outage))
        finally:
            if herds is not None:
                herds.stop()
            plane.stop()
            shutil.copy(plane.log.name, options.json + ".log")
        return result


def own_namespace():
    """All of it runs in a network namespace that ends with it."""
    if os.environ.get("HANDFAST_BENCH_NAMESPACE") is None:
        os.environ["HANDFAST_BENCH_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def main():
    options = options_of_command_line()
    if os.geteuid() != 0:
        print("network namespaces need root: run this as root", file=sys.stderr)
        return 77
    own_namespace()
    herding.add_addresses(max(options.sizes))
    results = []
    with tempfile.TemporaryDirectory(prefix="handfast-bench-") as folder:
        os.chmod(folder, 0o755)
        binaries = build(folder)
        for num in options.sizes:
            results.append(one_size(binaries, num, options, options.last and num == options.sizes[-1]))
            with open(options.json, "w") as file:
                json.dump(results, file, indent=1)
    print(report.text(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
