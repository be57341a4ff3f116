"""That a protocol's connections were carried through the mesh: one meshed host calls a port of another, both strict.

with carried(story.mesh, 11211) as marker:
    ...          a real client sends the marker, or reads it back; the story checks the result
                 afterwards: both ends logged the connections as encrypted between the two identities, the wire has
                 tunnels and nothing of the marker, and a stranger in plaintext gets not one byte of that port"""

import contextlib
import itertools

from . import stream
from .capture import Capture
from .expect import expect, expect_eq, wait_until
from .mesh import Mesh, identity_of
from .sidecar import TUNNEL

_numbers = itertools.count(1)


def strict_mesh(story, policy=None, **more):
    """Two meshed hosts, `client` and `server`, that refuse plaintext, and `stranger` without a sidecar."""
    mesh = Mesh(story, outsiders=("stranger",), leaf_ttl="1h", policy={"default_mode": "strict", **(policy or {})}, **more)
    mesh.net.set_name_server("127.0.0.1")  # refuses at once; some servers ask for the names of their callers
    return mesh


def _expect_encrypted(sidecar, num_before, identities, **wanted):
    """Of the lines after the first num_before: those that are wanted name both identities, and none was in plaintext."""
    new = lambda **fields: sidecar.access_log()[num_before:] if not fields else [
        line for line in sidecar.access_log()[num_before:] if fields.items() <= line.items()]
    for line in wait_until("a line with %s in the access log of %s" % (wanted, sidecar.name), lambda: new(**wanted), 5.0):
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
    for name, direction in ends:
        _expect_encrypted(mesh.sidecar(name), before[name, direction], (identity_of(caller), identity_of(server)),
                          direction=direction, destination=address)
    expect(any(TUNNEL in (packet.source_port, packet.destination_port) and packet.payload for packet in wire.packets()),
           "no byte of a tunnel was on the wire")
    expect(wire.ports() <= {TUNNEL}, "ports that were dialed on the wire: %s" % wire.ports())
    expect(not wire.contains(marker.encode()), "the marker crossed the wire in plaintext")
    if strangers:
        expect_eq(stream.attempt(mesh.net.stranger, mesh.net.hosts[server].ipv4, port, b"hello\r\n\r\n"), (b"", "reset"),
                  "what a stranger in plaintext gets of port %d" % port)
