#!/usr/bin/python3
"""Rotations of 5-second certificates under load: 0 failed, 0 reset, hashes equal. Run by hand, as root:

    test/soak/rotation.py               12 rotations, as story 051
    test/soak/rotation.py --full        200 rotations, 500 clients, 50 new connections per second, 20 streams: 10
    minutes"""

import argparse
import collections
import contextlib
import os
import sys
import tempfile

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), part) for part in ("../harness", "..")]

from handfast_harness import Mesh, StreamServer, stream, wait_until  # noqa: E402 (the path must be set first)
from handfast_harness.load import Load  # noqa: E402
from handfast_harness.story import Story  # noqa: E402

Size = collections.namedtuple("Size", "num_rotations num_clients new_per_second num_streams stream_bytes")
SHORT = Size(12, 50, 20, 5, 20_000_000)
FULL = Size(200, 500, 50, 20, 60_000_000)


def arrange(story):
    return Mesh(story, leaf_ttl="5s")


def run(story, mesh, size, on_rotation=lambda number, load: None):
    """(the load, {host: its serials in order}) once every sidecar has rotated that many times."""
    story.own(StreamServer(story, mesh.server, 9000, "echo"))
    story.own(StreamServer(story, mesh.server, 9001, "source", num_bytes=size.stream_bytes, seed=5))
    serials = {name: [sidecar.serial()] for name, sidecar in mesh.sidecars.items()}

    def note():
        for name, sidecar in mesh.sidecars.items():
            if (now := sidecar.serial()) != serials[name][-1]:
                serials[name].append(now)
        return min(map(len, serials.values()))

    with Load(mesh.client, mesh.server.ipv4, 9000, 9001, size.num_clients, size.new_per_second, size.num_streams,
              stream.sha256(stream.pattern(size.stream_bytes, 5)), size.stream_bytes) as load:
        for number in range(1, size.num_rotations + 1):
            wait_until("rotation %d" % number, lambda: load.failures or note() > number, 15, 0.1)
            on_rotation(number, load)
            if load.failures:
                break
    return load, {name: own[:size.num_rotations + 1] for name, own in serials.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    size = FULL if parser.parse_args().full else SHORT
    folder = tempfile.mkdtemp(prefix="handfast-rotation-")
    os.chmod(folder, 0o755)
    with contextlib.closing(Story(os.path.join(folder, "run"))) as story:
        mesh = arrange(story)
        load, _ = run(story, mesh, size, lambda number, load: print(
            "rotation %d: %d requests, %d connections, %d streams, %d failed" %
            (number, load.num_requests, load.num_connections, load.num_streams, len(load.failures)), flush=True))
        for sidecar in mesh.sidecars.values():
            print("%s: %d KB, %d descriptors, %.1f s CPU" % (sidecar.name, sidecar.process.rss_kb(),
                                                            sidecar.process.num_fds(), sidecar.process.cpu_s()))
    print("\n".join(load.failures[:20]))
    print("%d requests, %d connections, %d streams; %d failed; logs: %s" %
          (load.num_requests, load.num_connections, load.num_streams, len(load.failures), folder))
    return 1 if load.failures else 0


if __name__ == "__main__":
    sys.exit(main())
