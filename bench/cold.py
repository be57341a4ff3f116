#!/usr/bin/python3
"""Measures the first connection to a destination: no answer of discovery is there yet, and no tunnel.

    bench/cold.py                  200 destinations, half a minute
    bench/cold.py --destinations 400

Each destination is an address of its own of one server, so that each first connection asks the control plane and makes
a tunnel with a full handshake. The time is from connect() to the answer to one byte, the CPU that of both sidecars.
Beside it the same with an answer and without a tunnel, through a tunnel that stands, and to the server without
interception, which is what the measuring itself takes. Then Envoy, whose every new connection is a full handshake, with
the same pause between two connections: at more than 50 per second of one source a sidecar refuses handshakes.

Needs root (network namespaces) and the packages of tools/ and test/apt-packages.txt. The programs come from HANDFAST_BIN,
or are built with optimization."""

import argparse
import json
import os
import socket
import struct
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(HERE)
sys.path[:0] = [HERE, os.path.join(REPOSITORY, "test", "harness")]

from handfast_bench import cost, programs  # noqa: E402 (the path must be set first)
from handfast_bench.envoy import Envoy  # noqa: E402
from handfast_bench.world import APP as FAR_APP, World  # noqa: E402
from handfast_harness import Mesh, identity_of, topology  # noqa: E402
from handfast_harness.story import Story  # noqa: E402

PORT, APP = 7000, 1000
PAUSE_S = 0.02  # so that connections do not overlap
PROGRAMS = ["handfast-init", "handfast-sidecar", "handfast-control", "handfast", "load"]


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


def once_ms(host, address, uid, port=PORT, question=b"x"):
    with host.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, uid=uid, gid=uid) as client:
        client.settimeout(10)
        since = time.perf_counter()
        client.connect((address, port))
        client.sendall(question)
        if len(client.recv(1)) != 1:
            raise RuntimeError("%s gave no answer" % address)
        return 1000 * (time.perf_counter() - since)


def spread(times_ms):
    ordered = sorted(times_ms)
    return {"p50": ordered[len(ordered) // 2], "p99": ordered[int(0.99 * (len(ordered) - 1))], "max": ordered[-1]}


def row(host, uid, destinations, pids, pause_s, **options):
    times, before = [], cost.cpu_s(pids)
    for address in destinations:
        times.append(once_ms(host, address, uid, **options))
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
    rows["the same, without a pause"] = row(mesh.client, APP, destinations, pids_of(mesh), 0)
    rows["warm"] = row(mesh.client, APP, destinations, pids_of(mesh), PAUSE_S)
    rows["without interception"] = row(mesh.server, 0, destinations, pids_of(mesh), PAUSE_S)
    return rows


def measure_envoy(folder, binary, num):
    """{} where it cannot be had."""
    if reason := Envoy.unavailable_reason():
        print("left out: envoy: %s" % reason, file=sys.stderr)
        return {}
    with open("/proc/sys/net/ipv4/tcp_congestion_control") as file:
        own = file.read().strip()
    question = struct.pack("=QQ", 16, 1)  # bench/load/request.h: an answer of one byte
    with World(os.path.join(folder, "envoy-world"), binary, own) as world:
        pair = Envoy()
        try:
            pair.start(world)
            addresses_of_it = [world.net.b.ipv4] * num
            row(world.net.a, APP, addresses_of_it[:10], pair.pids(), 0, port=FAR_APP, question=question)
            return {name: row(world.net.a, APP, addresses_of_it, pair.pids(), pause_s, port=FAR_APP, question=question)
                    for name, pause_s in (("Envoy, X25519", PAUSE_S), ("Envoy, without a pause", 0))}
        finally:
            pair.stop()


def measure_handfast(folder, num):
    destinations = addresses(num)
    story = Story(os.path.join(folder, "cold"))
    try:
        mesh = arrange(story, destinations)
        listener = mesh.server.listen("::", PORT, backlog=128)
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        return measure(mesh, destinations)
    finally:
        story.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--destinations", type=int, default=200)
    parser.add_argument("--envoy", help="folder for the virtual environment with Envoy; default: a new one, removed")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("network namespaces need root: run this as root", file=sys.stderr)
        return 77
    topology.sweep_leftovers()
    with tempfile.TemporaryDirectory(prefix="handfast-bench-") as folder:
        os.chmod(folder, 0o755)
        Envoy.tools = options.envoy or os.path.join(folder, "envoy")
        binary = programs.copied(folder, PROGRAMS)
        os.environ.setdefault("HANDFAST_BIN", programs.build(PROGRAMS))
        rows = {**measure_handfast(folder, options.destinations), **measure_envoy(folder, binary, options.destinations)}
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
