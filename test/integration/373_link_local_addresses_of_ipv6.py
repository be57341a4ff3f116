"""Callers of a workload's link-local address of IPv6 are served as those of its other addresses, in both modes of interception.
What a workload opens to such an address cannot be redirected, and is refused at once unless the address is excluded

    router (no sidecar) --plaintext, fe80::...--> server: [sidecar, redirect] -> echo
    router (no sidecar) --plaintext, fe80::...--> client: [sidecar, tproxy] -> echo"""

import errno
import socket

from handfast_harness import Mesh, StreamServer, expect_eq, expect_in, stream, wait_until
from handfast_harness.mesh import TPROXY

DEADLINE_S = 180
METADATA = "169.254.169.254"  # link-local of IPv4, as of a cloud's metadata


def arrange(story):
    mesh = story.mesh = Mesh(story, leaf_ttl="1h", start=False)
    story.router = mesh.net.router
    mesh.start_control()
    mesh.start_sidecar("server")
    mesh.start_sidecar("client", **TPROXY)
    for host in (mesh.server, mesh.client, story.router):
        story.own(StreamServer(story, host, 9000, "echo"))
    story.router.run(["ip", "addr", "add", METADATA + "/32", "dev", "lo"])
    wait_until("link-local addresses", lambda: _link_local(mesh.server) and _link_local(mesh.client), 10)


def _link_local(host):
    lines = host.run(["ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link", "-tentative"]).stdout.split()
    return lines[3].split("/")[0] if lines else None


def _toward(story, host):
    """The router's interface to that host: its name and its number."""
    words = story.router.run(["ip", "-6", "-o", "route", "get", host.ipv6]).stdout.split()
    name = words[words.index("dev") + 1]
    return name, _number(story.router, name)


def _number(host, name):
    return int(host.run(["ip", "-o", "link", "show", "dev", name]).stdout.split(":")[0])


def _connect(host, address, number):
    sock = host.socket(socket.AF_INET6, uid=1000)
    sock.settimeout(5)
    sock.connect((address, 9000, 0, number))
    return sock


def _of_router(story, host):
    name = _toward(story, host)[0]
    lines = story.router.run(["ip", "-6", "-o", "addr", "show", "dev", name, "scope", "link"]).stdout.split()
    return lines[3].split("/")[0]


def _calls_in(story, host):
    with _connect(story.router, _link_local(host), _toward(story, host)[1]) as sock:
        stream.ask(sock)


def _is_refused(story, host):
    try:
        _calls_in(story, host)
        return False
    except (ConnectionResetError, BrokenPipeError, EOFError):
        return True


def shows_that_a_neighbor_reaches_the_workload(story):
    for name in ("server", "client"):
        _calls_in(story, story.mesh.net.hosts[name])
        seen = story.mesh.sidecar(name).wait_for_access(direction="inbound_plain", reason="done")
        expect_in("[fe80::", seen["destination"], "the destination of the connection to %s" % name)


def shows_that_a_strict_port_refuses_it(story):
    for name in ("server", "client"):
        sidecar = story.mesh.sidecar(name)
        sidecar.reload({"inbound": {"mode": "strict"}})
        wait_until("%s to refuse plaintext" % name, lambda: _is_refused(story, story.mesh.net.hosts[name]), 10)
        sidecar.wait_for_access(direction="inbound_plain", reason="plaintext_refused")


def shows_that_the_sidecars_own_ports_refuse_it(story):
    for port in (15001, 15006):
        expect_eq(_end_of(story, port), "reset", "a connection to %d" % port)


def _end_of(story, port):
    """It may be there before connect() has returned."""
    with story.router.socket(socket.AF_INET6) as sock:
        sock.settimeout(5)
        try:
            sock.connect((_link_local(story.mesh.server), port, 0, _toward(story, story.mesh.server)[1]))
            return stream.receive_all(sock)[1]
        except ConnectionResetError:
            return "reset"


def shows_that_what_the_workload_opens_is_refused_at_once(story):
    """A reset of the rules, which count it: bound to its interface, it cannot be led to the sidecar."""
    for name in ("server", "client"):
        host = story.mesh.net.hosts[name]
        try:
            _connect(host, _of_router(story, host), _number(host, "eth0")).close()
            expect_eq("opened", "refused", "a connection of %s to a link-local address" % name)
        except OSError as failure:
            expect_eq(failure.errno, errno.ECONNREFUSED, "the error of %s" % name)
        rule = [line for line in host.run(["nft", "list", "table", "inet", "handfast"]).stdout.splitlines()
                if "fe80::/10" in line]
        expect_in("counter packets 1 ", "".join(rule), "the rule's counter")


def shows_that_an_excluded_one_is_reached(story):
    host = story.mesh.server
    host.run([story.binary("handfast-init"), "up", "--exclude-outbound-networks", "fe80::/10"])
    with _connect(host, _of_router(story, host), _number(host, "eth0")) as sock:
        stream.ask(sock)
    host.run([story.binary("handfast-init"), "check"])


def shows_that_a_link_local_address_of_ipv4_is_as_any_other(story):
    for name, mode in (("server", "auto"), ("client", "require")):
        sidecar = story.mesh.sidecar(name)
        sidecar.configure({"outbound": {"mode": mode}})
        sidecar.restart()
        host = story.mesh.net.hosts[name]
        if mode == "auto":
            wait_until("an answer in plaintext", lambda host=host: stream.is_answered(host, METADATA, 9000), 10)
        else:
            expect_eq(stream.attempt(host, METADATA, 9000, b"x"), (b"", "reset"), "what require refuses")
            sidecar.wait_for_access(direction="outbound", reason="plaintext_refused")
