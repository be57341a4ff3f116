"""That a protocol's connections were carried through the mesh: one meshed host calls a port of another, both strict.

with carried(story.mesh, 11211) as marker:
    ...          a real client sends the marker, or reads it back; the story checks the result
                 afterwards: both ends logged the connections as encrypted between the two identities, the wire has
                 tunnels and nothing of the marker, and a stranger in plaintext gets not one byte of that port"""

import contextlib
import itertools
import os

from . import stream
from .capture import Capture
from .expect import expect, expect_eq, wait_until
from .mesh import TPROXY, Mesh, identity_of
from .sidecar import TUNNEL

CONTROL = 15012  # of the control plane, where a sidecar may connect anew at any time
_numbers = itertools.count(1)


def strict_mesh(story, hosts=("client", "server"), policy=None, tproxy=(), **more):
    """Meshed hosts that refuse plaintext, and `stranger` without a sidecar. `tproxy`: hosts in that mode; all of them where the
    environment has STORIES_MODE=tproxy."""
    mesh = Mesh(story, hosts=hosts, outsiders=("stranger",), leaf_ttl="1h", policy={"default_mode": "strict", **(policy or {})},
                start=False, **more)
    mesh.start_control()
    mesh.of_mode_tproxy = hosts if os.environ.get("STORIES_MODE") == "tproxy" else tproxy
    for name in hosts:
        mesh.start_sidecar(name, wait=False, **(TPROXY if name in mesh.of_mode_tproxy else {}))
    for sidecar in mesh.sidecars.values():
        sidecar.wait_until_ready()
    mesh.net.set_name_server("127.0.0.1")  # refuses at once; some servers ask for the names of their callers
    return mesh


def seen_address(mesh, caller="client", server="server"):
    """The IPv4 address that a program of the server sees of that caller."""
    return mesh.net.hosts[caller].ipv4 if server in mesh.of_mode_tproxy else "169.254.15.6"


def _expect_encrypted(sidecar, num_before, identities, **wanted):
    """Of the lines after the first num_before: those that are wanted name both identities, and none was in plaintext."""
    new = lambda: sidecar.access_log()[num_before:]
    matching = lambda: [line for line in new() if wanted.items() <= line.items()]
    for line in wait_until("a line with %s in the access log of %s" % (wanted, sidecar.name), matching, 10.0):
        expect_eq((line.get("source_id"), line.get("destination_id")), identities, "the identities at " + sidecar.name)
    expect_eq([line for line in new() if not line["encrypted"]], [], "connections in plaintext at " + sidecar.name)


@contextlib.contextmanager
def carried(mesh, port, caller="client", server="server", strangers=True):
    """Yields a marker of its own, as text. `strangers`: whether one tries the port in plaintext afterwards."""
    marker = "marker-%d-that-must-never-be-on-the-wire" % next(_numbers)
    ends = ((caller, "outbound"), (server, "inbound"))
    before = {end: len(mesh.sidecar(end[0]).access_log()) for end in ends}
    address = "%s:%d" % (mesh.net.hosts[server].ipv4, port)
    with Capture(mesh.story, mesh.net.router, "to-" + server) as wire:
        yield marker
    expect(wire.ports() <= {TUNNEL, CONTROL}, "ports that were dialed on the wire: %s" % wire.ports())
    expect(not wire.contains(marker.encode()), "the marker crossed the wire in plaintext")
    expect(any(TUNNEL in (packet.source_port, packet.destination_port) and packet.payload for packet in wire.packets()),
           "no byte of a tunnel was on the wire")
    for name, direction in ends:
        _expect_encrypted(mesh.sidecar(name), before[name, direction], (identity_of(caller), identity_of(server)),
                          direction=direction, destination=address)
    if strangers:
        expect_eq(stream.attempt(mesh.net.stranger, mesh.net.hosts[server].ipv4, port, b"hello\r\n\r\n"), (b"", "reset"),
                  "what a stranger in plaintext gets of port %d" % port)
