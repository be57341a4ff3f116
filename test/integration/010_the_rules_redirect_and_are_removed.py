"""handfast-init writes rules that redirect the workload's traffic and no other, checks them, and removes them.

                     rules
    a: workload --- [15001, 15006] --- router --- b: servers, no rules
                     (listeners of the story take the sidecar's place)

Everything is shown for IPv4 and IPv6."""

import ipaddress
import json

from handfast_harness import StreamServer, expect, expect_eq, expect_in, needs
from handfast_harness import stream
from handfast_harness.interception import DIALS_FROM, INBOUND, METRICS, OUTBOUND, SIDECAR, TUNNEL, Interceptor

DEADLINE_S = 90


def arrange(story):
    story.net = story.topology("a", "b")
    story.a, story.b = story.net.a, story.net.b
    story.init = story.binary("handfast-init")
    story.server = story.own(StreamServer(story, story.b, 9000, "echo"))


def _init(story, *words, host=None, code=0, **options):
    done = (host or story.a).run([story.init, *words], check=False, **options)
    expect_eq(done.returncode, code, "exit code of handfast-init %s (%s%s)" % (" ".join(words), done.stdout,
                                                                             done.stderr))
    return done


def _reaches(host, address, port, **options):
    with host.connect(address, port, **options) as sock:
        expect_eq(stream.exchange(sock, b"hello"), (b"hello", "fin"), "echo from %s:%d" % (address, port))


def _each(host):
    return host.ipv4, host.ipv6


def shows_that_check_fails_without_rules(story):
    expect_in("failed   outbound_ipv4", _init(story, "check", code=1).stderr, "check")


def shows_that_a_dry_run_changes_nothing(story):
    expect_in("redirect to :15001", _init(story, "up", "--dry-run").stdout, "dry run")
    expect_in("redirect to :15001", json.loads(_init(story, "up", "--dry-run", "--output=json").stdout)["nft"], "as JSON")
    expect_eq(story.a.run(["nft", "-s", "list", "ruleset"]).stdout, "", "rules after a dry run")


def shows_that_up_writes_the_same_rules_each_time(story):
    _init(story, "up")
    first = story.a.run(["nft", "-s", "-p", "list", "ruleset"]).stdout
    _init(story, "up")
    expect_eq(story.a.run(["nft", "-s", "-p", "list", "ruleset"]).stdout, first, "rules after a second up")
    expect_in(first, _init(story, "up", "--dry-run").stdout, "the rules of the dry run")


@needs(shows_that_up_writes_the_same_rules_each_time)
def shows_that_no_connection_passes_before_the_sidecar_listens(story):
    for address in _each(story.b):
        try:
            story.a.connect(address, 9000, uid=1000).close()
            expect(False, "a connection to %s got through without a sidecar" % address)
        except ConnectionRefusedError:
            pass


@needs(shows_that_up_writes_the_same_rules_each_time)
def shows_that_the_workload_arrives_at_15001_with_its_destination(story):
    with Interceptor(story.a, OUTBOUND) as caught:
        for uid in (1000, 0):
            for address in _each(story.b):
                story.a.connect(address, 9000, uid=uid, gid=uid).close()
                expect_eq(caught.next(), (address, 9000), "original destination for uid %d" % uid)


@needs(shows_that_up_writes_the_same_rules_each_time)
def shows_that_the_sidecar_itself_is_exempt_by_uid_and_gid_together(story):
    for address in _each(story.b):
        _reaches(story.a, address, 9000, uid=SIDECAR, gid=SIDECAR)
    with Interceptor(story.a, OUTBOUND) as caught:
        for uid, gid in ((SIDECAR, 1000), (1000, SIDECAR)):
            for address in _each(story.b):
                story.a.connect(address, 9000, uid=uid, gid=gid).close()
                expect_eq(caught.next(), (address, 9000), "original destination for uid %d and gid %d" % (uid, gid))


@needs(shows_that_up_writes_the_same_rules_each_time)
def shows_that_loopback_is_not_redirected(story):
    story.own(StreamServer(story, story.a, 8080, "echo"))
    with Interceptor(story.a, OUTBOUND) as out, Interceptor(story.a, INBOUND) as into:
        for address in ("127.0.0.1", "::1", *_each(story.a)):
            _reaches(story.a, address, 8080, uid=1000)
        expect(out.is_quiet() and into.is_quiet(), "a connection on lo was redirected")


@needs(shows_that_up_writes_the_same_rules_each_time)
def shows_that_the_sidecar_reaches_its_workload_from_its_own_address(story):
    server = story.own(StreamServer(story, story.a, 8081, "echo"))
    for number, address in enumerate(_each(story.a)):
        source = DIALS_FROM[ipaddress.ip_address(address).version]
        _reaches(story.a, address, 8081, uid=SIDECAR, gid=SIDECAR, source=source)
        expect_in(source, server.wait_for_report(number)["peer"][0], "the peer that the workload sees")


@needs(shows_that_up_writes_the_same_rules_each_time)
def shows_that_no_program_gets_the_sidecars_address_as_its_source(story):
    """The kernel chooses source addresses as before the rules."""
    with story.a.connect(story.b.ipv6, 9000, uid=SIDECAR) as sock:
        expect_eq(sock.getsockname()[0], story.a.ipv6, "IPv6 source")
    with story.a.connect(story.b.ipv4, 9000, uid=SIDECAR) as sock:
        expect_eq(sock.getsockname()[0], story.a.ipv4, "IPv4 source")


@needs(shows_that_up_writes_the_same_rules_each_time)
def shows_that_inbound_traffic_arrives_at_15006_with_its_destination(story):
    with Interceptor(story.a, INBOUND) as caught:
        for address in _each(story.a):
            for port in (8080, 7, OUTBOUND, INBOUND):
                story.b.connect(address, port).close()
                expect_eq(caught.next(), (address, port), "original destination")


@needs(shows_that_up_writes_the_same_rules_each_time)
def shows_that_tunnels_and_metrics_are_not_redirected(story):
    for port in (TUNNEL, METRICS):
        story.own(StreamServer(story, story.a, port, "echo"))
        for address in _each(story.a):
            _reaches(story.b, address, port)


@needs(shows_that_up_writes_the_same_rules_each_time)
def shows_that_check_works_before_and_after_a_program_listens(story):
    proven = json.loads(_init(story, "check", "--output", "json").stdout)
    points = {finding["point"]: finding["state"] for finding in proven["findings"]}
    expect_eq(points.pop("sidecar"), "note", "of a pod, whose sidecar is still to start")
    expect_eq((proven["ok"], set(points.values())), (True, {"ok"}), "check without a listener: %s" % points)
    with Interceptor(story.a, OUTBOUND) as listening:
        _init(story, "check")
        _init(story, "check", uid=1000)
        expect(listening.is_quiet(), "check made a connection to the sidecar's port")
    with StreamServer(story, story.a, OUTBOUND, "reset", num_bytes=0):
        _init(story, "check")
        _init(story, "check", uid=1000)
    _init(story, "check", uid=SIDECAR, code=1)


def shows_that_check_needs_no_more_capabilities_than_up(story):
    """A container with NET_ADMIN and nothing else may not change its uid."""
    only_net_admin = ["setpriv", "--bounding-set", "-all,+net_admin", story.init]
    story.a.run(only_net_admin + ["up"])
    expect_in("ok       outbound_ipv6", story.a.run(only_net_admin + ["check"]).stdout, "check")


def shows_that_excluded_ports_and_networks_are_not_redirected(story):
    story.own(StreamServer(story, story.b, 9001, "echo"))
    story.own(StreamServer(story, story.a, 8082, "echo"))
    _init(story, "up", "--exclude-outbound-ports", "9001", "--exclude-inbound-ports", "8082")
    with Interceptor(story.a, OUTBOUND) as caught:
        for address in _each(story.b):
            _reaches(story.a, address, 9001, uid=1000)
            story.a.connect(address, 9000, uid=1000).close()
            expect_eq(caught.next(), (address, 9000), "a port that is not excluded")
    for address in _each(story.a):
        _reaches(story.b, address, 8082)
    _init(story, "up", "--exclude-outbound-networks", "198.51.100.0/28,2001:db8:2::/64")
    for address in _each(story.b):
        _reaches(story.a, address, 9000, uid=1000)
    _init(story, "check", "--exclude-outbound-networks", "198.51.100.0/28,2001:db8:2::/64")


def shows_that_forwarded_traffic_is_not_redirected(story):
    router = story.net.router
    _init(story, "down")
    _init(story, "up", host=router)
    for address in _each(story.b):
        _reaches(story.a, address, 9000)
    with Interceptor(router, INBOUND) as caught:
        story.a.connect("192.0.2.1", 8080).close()
        expect_eq(caught.next(), ("192.0.2.1", 8080), "the router's own address")
    _init(story, "down", host=router)


def shows_that_namespaces_are_independent(story):
    _init(story, "up")
    _init(story, "up", "--exclude-inbound-ports", "9000", host=story.b)
    _init(story, "down", host=story.b)
    expect_eq(story.b.run(["nft", "-s", "list", "ruleset"]).stdout, "", "rules in b after its down")
    _init(story, "check")


@needs(shows_that_up_writes_the_same_rules_each_time)
def shows_that_down_removes_all_own_rules_and_no_others(story):
    story.a.run(["nft", "add table inet theirs"])
    _init(story, "down")
    _init(story, "down")
    expect_eq(story.a.run(["nft", "-s", "list", "ruleset"]).stdout, "table inet theirs {\n}\n", "rules after down")
    addresses = story.a.run(["ip", "-o", "addr", "show", "dev", "lo"]).stdout
    expect("169.254" not in addresses and "100::" not in addresses, "addresses left on lo: " + addresses)
    for address in _each(story.b):
        _reaches(story.a, address, 9000, uid=1000)
    _init(story, "check", code=1)


def shows_that_wrong_flags_and_missing_rights_are_distinguished(story):
    errors = _init(story, "up", "--profile", "x", "--exclude-inbound-ports", "0", "sideways", code=64).stderr
    expect_eq(len([line for line in errors.splitlines() if "expected" in line]), 3, "errors reported at once: " + errors)
    expect_in("CAP_NET_ADMIN", _init(story, "up", uid=1000, code=77).stderr, "what is missing")
    done = story.a.run(["unshare", "--user", "--map-root-user", story.init, "up"], check=False)
    expect_eq(done.returncode, 77, "exit code for root of a user namespace that does not own this network")
    expect_in("another user namespace", done.stderr, "what is missing")


def shows_that_a_loopback_interface_that_is_down_is_reported(story):
    story.a.ip("link set lo down")
    expect_in("ip link set lo up", _init(story, "up", code=69).stderr, "what to do")
