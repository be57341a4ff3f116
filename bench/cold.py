#!/usr/bin/python3
"""Measures the first connection to a destination: no answer of discovery is there yet, and no tunnel.

    bench/cold.py                  200 destinations, half a minute
    bench/cold.py --destinations 400

Each destination is an address of its own of one server, so that each first connection asks the control plane and makes
a tunnel with a full handshake. The time is from connect() to the answer to one byte, the CPU that of both sidecars.
Beside it the same with an answer and without a tunnel, through a tunnel that stands, and to the server without
interception, which is what the measuring itself takes.

Needs root (network namespaces) and the packages of tools/ and test/apt-packages.txt. The programs come from HANDFAST_BIN,
or are built with optimization."""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(HERE)
sys.path[:0] = [HERE, os.path.join(REPOSITORY, "test", "harness")]

from handfast_bench import cost  # noqa: E402 (the path must be set first)
from handfast_harness import Mesh, identity_of, topology  # noqa: E402
from handfast_harness.story import Story  # noqa: E402

PORT, APP = 7000, 1000
PAUSE_S = 0.02  # so that connections do not overlap
PROGRAMS = ["//intercept:handfast-init", "//sidecar:handfast-sidecar", "//control:handfast-control", "//cli:handfast"]


def build():
    if os.environ.get("HANDFAST_BIN"):
        return
    subprocess.run(["bazel", "build", "--config=opt", *PROGRAMS], check=True, cwd=REPOSITORY)
    os.environ["HANDFAST_BIN"] = subprocess.run(["bazel", "info", "--config=opt", "bazel-bin"], check=True,
                                                cwd=REPOSITORY, capture_output=True, text=True).stdout.strip()


def addresses(num):
    """2001:db8:c01d::/112 belongs to no host of a topology."""
    return ["2001:db8:c01d::%x" % (number + 1) for number in range(num)]


def arrange(story, destinations):
    mesh = Mesh(story, leaf_ttl="1h", start=False,
                entries=[{"address": address, "identity": identity_of("server")} for address in destinations])
    for address in destinations:
        mesh.net.add_address("server", address)
    return mesh.start()


def answer(listener):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.sendall(connection.recv(1))


def once_ms(host, address, uid):
    with host.socket(socket.AF_INET6, uid=uid, gid=uid) as client:
        client.settimeout(10)
        since = time.perf_counter()
        client.connect((address, PORT))
        client.sendall(b"x")
        if client.recv(1) != b"x":
            raise RuntimeError("%s gave another answer" % address)
        return 1000 * (time.perf_counter() - since)


def spread(times_ms):
    ordered = sorted(times_ms)
    return {"p50": ordered[len(ordered) // 2], "p99": ordered[int(0.99 * (len(ordered) - 1))], "max": ordered[-1]}


def row(host, uid, destinations, pids, pause_s):
    times, before = [], cost.cpu_s(pids)
    for address in destinations:
        times.append(once_ms(host, address, uid))
        time.sleep(pause_s)  # duration: the calls come one at a time, with this pause between them
    return {**spread(times), "cpu_us": 1e6 * (cost.cpu_s(pids) - before) / len(destinations)}


def pids_of(mesh):
    return [sidecar.process.pid for sidecar in mesh.sidecars.values()]


def measure(mesh, destinations):
    """Back to back: as a peer's connections are measured by run.py, each of which makes a handshake."""
    rows = {"cold": row(mesh.client, APP, destinations, pids_of(mesh), PAUSE_S)}
    mesh.sidecar("server").restart()  # answers stay at the client's sidecar, tunnels end
    rows["with an answer, new tunnel"] = row(mesh.client, APP, destinations, pids_of(mesh), PAUSE_S)
    mesh.sidecar("server").restart()
    rows["the same, back to back"] = row(mesh.client, APP, destinations, pids_of(mesh), 0)
    rows["warm"] = row(mesh.client, APP, destinations, pids_of(mesh), PAUSE_S)
    rows["without interception"] = row(mesh.server, 0, destinations, pids_of(mesh), PAUSE_S)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--destinations", type=int, default=200)
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("network namespaces need root: run this as root", file=sys.stderr)
        return 77
    build()
    topology.sweep_leftovers()
    destinations = addresses(options.destinations)
    with tempfile.TemporaryDirectory(prefix="handfast-bench-") as folder:
        os.chmod(folder, 0o755)
        story = Story(os.path.join(folder, "cold"))
        try:
            mesh = arrange(story, destinations)
            listener = mesh.server.listen("::", PORT, backlog=128)
            threading.Thread(target=answer, args=(listener,), daemon=True).start()
            rows = measure(mesh, destinations)
        finally:
            story.close()
    print("| a connection to %d destinations | ms p50 | ms p99 | ms max | us of CPU |\n|---|---|---|---|---|" %
          options.destinations)
    for name, row in rows.items():
        print("| %s | %.2f | %.2f | %.2f | %.0f |" % (name, row["p50"], row["p99"], row["max"], row["cpu_us"]))
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
