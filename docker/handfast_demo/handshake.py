"""The mutual handshake, reconstructed from the logs of two sidecars at log.level debug.

Each side logs only the steps that it observes: a server does not observe that the client verifies it, and vice versa.
The two logs are joined by the connection's two addresses and by time."""

import collections
import datetime
import re

from handfast_harness import StoryFailure

Logged = collections.namedtuple("Logged", "time_ms role step")
Step = collections.namedtuple("Step", "number text seen_by")

_LINE = re.compile(r"(\S+Z) debug \S+ handshake: as (client|server), (\S+) with (\S+): (.*)")


def _lines(log, role):
    """{(client's address, server's address): [Logged]} of one role in one sidecar's log."""
    found = collections.OrderedDict()
    for line in log.splitlines():
        match = _LINE.match(line)
        if match and match[2] == role:
            when = datetime.datetime.fromisoformat(match[1].replace("Z", "+00:00")).timestamp() * 1000
            ends = (match[3], match[4]) if role == "client" else (match[4], match[3])
            found.setdefault(ends, []).append(Logged(when, role, match[5]))
    return found


def seven_steps(client_id, server_id):
    """[(text, the sides that must have observed it)] in order."""
    return [
        ("client connects", {"client", "server"}),
        ("server presents its certificate: " + server_id, {"client", "server"}),
        ("client verifies the server's certificate", {"client"}),
        ("client presents its certificate: " + client_id, {"client", "server"}),
        ("server verifies the client's certificate", {"server"}),
        ("server grants access", {"client", "server"}),
        ("client and server exchange bytes, encrypted", {"client", "server"}),
    ]


def join(client_log, server_log):
    """(ends, [Logged] of the client, [Logged] of the server) of the first connection in both logs."""
    clients, servers = _lines(client_log, "client"), _lines(server_log, "server")
    for ends, logged in clients.items():
        if ends in servers:
            return ends, logged, servers[ends]
    raise StoryFailure("no handshake is in both logs: %s and %s" % (list(clients), list(servers)))


def check(logged_by, expected):
    """[Step], after checking that each side observed exactly its steps, in order."""
    steps = []
    for role, logged in logged_by.items():
        wanted = [text for text, observers in expected if role in observers]
        if [line.step for line in logged] != wanted:
            raise StoryFailure("the %s observed %s; expected: %s" % (role, [line.step for line in logged], wanted))
    for number, (text, observers) in enumerate(expected, 1):
        seen = {role: next(line.time_ms for line in logged_by[role] if line.step == text) for role in observers}
        steps.append(Step(number, text, seen))
    _check_causes(steps)
    return steps


def _check_causes(steps):
    """The acting side logs a step before the other one; both use the same clock, to the millisecond."""
    for step in steps:
        actor = step.text.split(" ", 1)[0]
        first, last = step.seen_by.get(actor), max(step.seen_by.values())
        if step.number < 6 and (first is None or first > last):
            raise StoryFailure("step %d was observed before it was done: %s" % (step.number, step))
    starts = [min(step.seen_by.values()) for step in steps]
    if any(later < earlier for earlier, later in zip(starts[:5], starts[1:6])):
        raise StoryFailure("the steps are not in order: %s" % steps)
