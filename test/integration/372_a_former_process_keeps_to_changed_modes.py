"""Modes that an upgrade or a later reload tightens reach the connections of former processes, and /check names those

    stranger (no sidecar) --plaintext--> server: [sidecar -> sidecar -> sidecar] -> echo
    client: [sidecar -> sidecar] --plaintext--> stranger: echo"""

import contextlib
import signal

from handfast_harness import Mesh, StreamServer, expect_eq, expect_in, stream, wait_until

DEADLINE_S = 240


def arrange(story):
    story.mesh = Mesh(story, outsiders=("stranger",), leaf_ttl="1h",
                      control={"mesh": {"plaintext_networks": ["192.0.2.16/28"]}})
    mesh = story.mesh
    for port in (9000, 9001):
        story.own(StreamServer(story, mesh.server, port, "echo"))
    story.own(StreamServer(story, mesh.stranger, 9000, "echo"))
    story.server, story.client = mesh.sidecar("server"), mesh.sidecar("client")


def _connect(source, target, port=9000):
    sock = source.connect(target.ipv4, port, uid=1000)
    sock.settimeout(5)
    _passes(sock, b"first")
    return sock


def _passes(sock, data=b"again"):
    sock.sendall(data)
    expect_eq(stream.receive_exactly(sock, len(data)), data, "echo")


def _is_closed(sock):
    try:
        sock.sendall(b"x")
        return sock.recv(1) == b""
    except (ConnectionResetError, BrokenPipeError):
        return True


def _expect_closed(sock, what):
    wait_until("%s to be closed" % what, lambda: _is_closed(sock), 10)


def _end(story, *processes):
    for process in processes:
        expect_eq(process.wait_for_exit(10), 0, "exit code of a former process")
    wait_until("no former process to be named", lambda: "former_processes" not in story.server.admin("/check"), 10)


def shows_that_strict_reaches_the_connections_of_the_former_process(story):
    mesh = story.mesh
    with _connect(mesh.stranger, mesh.server) as plain, _connect(mesh.client, mesh.server) as meshed:
        story.server.configure({"inbound": {"mode": "strict"}})
        old = story.server.upgrade()
        _expect_closed(plain, "the plaintext connection of the former process")
        _passes(meshed)
        wait_until("/check to name it with one connection", lambda: [
            (one["pid"], one["connections"]) for one in story.server.admin("/check").get("former_processes", [])]
            == [(old.pid, 1)], 10)
        shown = mesh.server.run([story.binary("handfast"), "check"], check=False).stdout
        expect_in("former process %d serves 1 connection, until " % old.pid, shown, "handfast check")
    _end(story, old)


def shows_that_a_later_reload_reaches_two_generations(story):
    """By the newest process alone; a port that stays permissive is not touched."""
    mesh = story.mesh
    story.server.configure({"inbound": {"mode": "permissive"}})
    story.server.upgrade().wait_for_exit(10)
    with contextlib.ExitStack() as stack:
        old, plain, other, meshed = [], [], [], []
        for _ in range(2):
            plain.append(stack.enter_context(_connect(mesh.stranger, mesh.server)))
            other.append(stack.enter_context(_connect(mesh.stranger, mesh.server, 9001)))
            meshed.append(stack.enter_context(_connect(mesh.client, mesh.server)))
            old.append(story.server.upgrade())
        for sock in plain + other + meshed:
            _passes(sock)
        wait_until("two former processes with three connections each", lambda: sorted(
            (one["pid"], one["connections"]) for one in story.server.admin("/check").get("former_processes", []))
            == sorted((process.pid, 3) for process in old), 10)
        story.server.reload({"inbound": {"ports": [{"port": 9000, "mode": "strict"}]}})
        for sock in plain:
            _expect_closed(sock, "a plaintext connection to a port that is strict now")
        for sock in other + meshed:
            _passes(sock)
        old[0].signal(signal.SIGHUP)
        old[0].wait_for_log("the settings are not read again")
        story.server.reload({"inbound": {"mode": "strict"}})
        for sock in other:
            _expect_closed(sock, "a plaintext connection to the other port")
        for sock in meshed:
            _passes(sock)
    _end(story, *old)


def shows_that_require_reaches_outbound_connections(story):
    mesh = story.mesh
    with _connect(mesh.client, mesh.stranger) as plain, _connect(mesh.client, mesh.server) as meshed:
        story.client.configure({"outbound": {"mode": "require"}})
        old = story.client.upgrade()
        _expect_closed(plain, "the plaintext connection of the former process")
        _passes(meshed)
        story.client.wait_for_access(direction="outbound", reason="policy_changed")
    expect_eq(old.wait_for_exit(10), 0, "exit code")


def shows_that_without_the_newest_process_plaintext_ends(story):
    """It cannot know the modes of the next one then."""
    mesh = story.mesh
    story.server.reload({"inbound": {"mode": "permissive", "ports": []}})
    wait_until("plaintext to pass", lambda: _takes_plaintext(story), 10)
    with _connect(mesh.stranger, mesh.server) as plain, _connect(mesh.client, mesh.server) as meshed:
        old = story.server.upgrade()
        _passes(plain)
        wait_until("/check to name it", lambda: story.server.admin("/check").get("former_processes"), 5)
        story.server.kill()
        _expect_closed(plain, "the plaintext connection of the former process")
        _passes(meshed)
        old.wait_for_log("no process sends its modes any more")
    expect_eq(old.wait_for_exit(10), 0, "exit code")
    story.server.start()


def _takes_plaintext(story):
    with contextlib.suppress(OSError):
        _connect(story.mesh.stranger, story.mesh.server).close()
        return True
    return False
