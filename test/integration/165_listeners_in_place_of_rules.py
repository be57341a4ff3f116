"""Where no one may touch nftables, listeners of the sidecar lead into the mesh and to the workload.

    client: psql -> 127.0.0.1:5432 [sidecar] ==tunnel==> server: [sidecar] -> 127.0.0.1:15432 PostgreSQL
            curl -> 127.0.0.1:8000 [sidecar] ==tunnel==>         [sidecar] -> 127.0.0.1:8080 nginx
    no host has rules; no sidecar has a capability"""

from handfast_harness import Capture, Mesh, Nginx, Postgres, expect, expect_eq, expect_in, identity_of, needs
from handfast_harness import settings, stream, wait_until

DEADLINE_S = 180
MARKER = b"marker-that-must-never-be-on-the-wire\n"
SERVICE, OTHER_SERVICE = "192.0.2.80", "192.0.2.81"
NOWHERE = "192.0.2.99"  # inside mesh.networks; no one
PLAIN = "203.0.113.200"  # listed as plaintext


def _web(address):
    return {"name": "web", "address": address, "identity": identity_of("server"), "ports": [{"port": 80}]}


def _leads_to(number, address):
    return {"listen": "127.0.0.1:%d" % number, "to": address}


def arrange(story):
    mesh = story.mesh = Mesh(story, outsiders=("stranger",), leaf_ttl="1h", rules=None, start=False,
                             services=[_web(SERVICE)], control={"mesh": {"plaintext_networks": [PLAIN + "/32"]}},
                             sidecar={"interception": "none", "timeouts": {"resolve": "1s"}}, policy={"workloads": [
                                 {"identity": identity_of("server"), "rules": [{
                                     "name": "client-may", "sources": [{"id": identity_of("client")}],
                                     "ports": [80, 82, 5432]}]}]})
    mesh.start_control()
    mesh.start_sidecar("server", configuration={"listeners": {"inbound": [
        {"port": port, "to": "127.0.0.1:%d" % to} for port, to in ((80, 8080), (81, 8080), (82, 9), (5432, 15432))]}})
    server = mesh.server.ipv4
    mesh.start_sidecar("client", configuration={"listeners": {"outbound": [
        _leads_to(5432, server + ":5432"), {"listen": "[::1]:5432", "to": server + ":5432"},
        _leads_to(8000, server + ":80"), _leads_to(8001, server + ":81"), _leads_to(8002, server + ":82"),
        _leads_to(8003, NOWHERE + ":80"), _leads_to(8004, PLAIN + ":80"),
        _leads_to(8005, "[%s]:80" % mesh.server.ipv6),
        {"listen": "127.0.0.1:8006", "service": "web", "port": 80},
        {"listen": "127.0.0.1:8007", "service": "absent", "port": 80}]}})
    story.nginx = story.own(Nginx(story, mesh.server, 8080, {"marker": MARKER}, addresses=["127.0.0.1"],
                                  extra="allow 203.0.113.2; deny all;"))
    story.postgres = story.own(Postgres(story, mesh.server, 15432, listen="127.0.0.1"))


def shows_that_no_host_has_rules_and_no_sidecar_a_capability(story):
    for name, host in story.mesh.net.hosts.items():
        expect_eq(host.run(["nft", "list", "ruleset"]).stdout, "", "rules of " + name)
    for name, sidecar in story.mesh.sidecars.items():
        with open("/proc/%d/status" % sidecar.process.pid) as file:
            expect_in("CapEff:\t0000000000000000", file.read(), "the capabilities of " + name)
        expect_eq(sidecar.probe()[0], 200, "readiness of " + name)
        wait_until("the conditions of " + name, lambda: [row["name"] for row in sidecar.admin("/check")["conditions"]] == (
            ["a listener's service is not known"] if name == "client" else []))


def shows_that_curl_gets_its_page_through_a_tunnel(story):
    mesh = story.mesh
    with Capture(story, mesh.net.router, "to-client") as wire:
        page = mesh.client.run(["curl", "-sS", "--max-time", "5", "http://127.0.0.1:8000/marker"], uid=1000)
    expect_eq(page.stdout.encode(), MARKER, "the page")
    expect(not wire.contains(MARKER.strip()), "the marker crossed the wire in plaintext")
    # The sidecar may connect to the control plane at any time.
    expect_eq(wire.ports() - {15012}, {15008}, "ports that were dialed")


@needs(shows_that_curl_gets_its_page_through_a_tunnel)
def shows_that_both_logs_name_both_identities_and_the_rule(story):
    mesh = story.mesh
    for name, direction in (("client", "outbound"), ("server", "inbound")):
        line = mesh.sidecar(name).wait_for_access(direction=direction, destination=mesh.server.ipv4 + ":80")
        expect_eq((line["reason"], line["source_id"], line["destination_id"]),
                  ("done", identity_of("client"), identity_of("server")), "the line of " + name)
    expect_eq((line["endpoint"], line["rule"]), ("127.0.0.1:8080", "client-may"), "endpoint and rule")


@needs(shows_that_curl_gets_its_page_through_a_tunnel)
def shows_that_the_workload_sees_no_loopback_address(story):
    expect_in(story.mesh.server.ipv4 + " ", story.nginx.requests()[-1], "nginx's log")


def shows_that_psql_speaks_with_postgresql_over_both_families(story):
    for address in ("127.0.0.1", "::1"):
        expect_eq(story.postgres.psql(story.mesh.client, address, "select 6 * 7"), "42", "the answer at " + address)


def shows_that_policy_decides_by_the_port_that_was_dialed(story):
    expect_eq(stream.attempt(story.mesh.client, "127.0.0.1", 8001), (b"", "reset"), "the answer")
    for name in ("client", "server"):
        story.mesh.sidecar(name).wait_for_access(reason="denied", destination=story.mesh.server.ipv4 + ":81")


def shows_that_a_listener_never_leads_into_plaintext(story):
    for port, reason in ((8003, "unresolved"), (8004, "plaintext_refused")):
        expect_eq(stream.attempt(story.mesh.client, "127.0.0.1", port, b"secret"), (b"", "reset"), "the answer")
        story.mesh.sidecar("client").wait_for_access(reason=reason)
    got = [entry for entry in story.mesh.sidecar("client").admin("/why")["failures"]
           if entry.get("destination", "").startswith(PLAIN)]
    expect_in("mesh.networks", got[0]["fix"], "the fix")


def _page(story, port):
    return story.mesh.client.run(["curl", "-sS", "--max-time", "5", "http://127.0.0.1:%d/marker" % port], check=False).stdout


def shows_that_a_listener_leads_to_a_service_by_name(story):
    expect_eq(_page(story, 8006).encode(), MARKER, "the page")
    story.mesh.sidecar("client").wait_for_access(reason="done", destination=SERVICE + ":80")


@needs(shows_that_a_listener_leads_to_a_service_by_name)
def shows_that_a_service_that_moves_is_followed(story):
    story.mesh.control.reload({"services": [_web(OTHER_SERVICE)]})
    wait_until("the page by the new address", lambda: _page(story, 8006).encode() == MARKER and
               story.mesh.sidecar("client").access_log(reason="done", destination=OTHER_SERVICE + ":80"), 30)


def shows_that_a_service_that_no_one_knows_is_named(story):
    expect_eq(stream.attempt(story.mesh.client, "127.0.0.1", 8007), (b"", "reset"), "the answer")
    wait_until("a failure that names the service", lambda: any(
        "the service absent" in failure["got"] for failure in story.mesh.sidecar("client").admin("/why")["failures"]))


def shows_that_a_workload_that_is_away_is_named(story):
    expect_eq(stream.attempt(story.mesh.client, "127.0.0.1", 8002), (b"", "reset"), "the answer")
    story.mesh.sidecar("server").wait_for_access(destination=story.mesh.server.ipv4 + ":82", reason="connect_refused")


def shows_that_other_hosts_reach_neither_listener_nor_workload(story):
    mesh = story.mesh
    for host, port in ((mesh.client, 8000), (mesh.client, 15001), (mesh.server, 8080), (mesh.server, 15432),
                       (mesh.server, 80), (mesh.server, 15006)):
        expect_eq(host.accepts(port, host.ipv4), False, "a connection to port %d of %s" % (port, host.name))


def shows_that_a_port_in_use_is_named(story):
    taken = story.mesh.server.listen("127.0.0.1", 7777)
    sidecar = story.mesh.make_sidecar("stranger", configuration={"listeners": {"outbound": [
        _leads_to(7777, "192.0.2.1:80")]}})
    del taken
    other = story.mesh.stranger.listen("127.0.0.1", 7777)
    process = sidecar.launch()
    process.wait_for_exit()
    expect_in("127.0.0.1:7777", process.log(), "the log")
    expect_in("in use", process.log(), "the log")
    other.close()


def shows_that_a_port_that_needs_a_permission_is_no_port_in_use(story):
    story.mesh.stranger.sysctl("net/ipv4/ip_unprivileged_port_start", "1024")  # as hosts have it
    sidecar = story.mesh.make_sidecar("stranger", configuration={"listeners": {"outbound": [_leads_to(443, "192.0.2.1:80")]}})
    process = sidecar.launch()
    expect_eq(process.wait_for_exit(), 77, "the exit code")
    expect_in("cannot listen at 127.0.0.1:443: Permission denied", process.log(), "the log")
    expect_in("give the program CAP_NET_BIND_SERVICE", process.log(), "the log")
    expect("stop the program that listens there" not in process.log(), "the log speaks of another program")


def shows_that_settings_that_conflict_are_refused_with_every_error(story):
    path = story.folder("refused") + "/sidecar.yaml"
    settings.write(path, {"control": {"address": "192.0.2.1:15012"}, "listeners": {"outbound": [
        _leads_to(15008, "192.0.2.3:80"), {"listen": "0.0.0.0:5432", "to": "192.0.2.3:80"}, _leads_to(1, "db:5432"),
        _leads_to(2, "127.0.0.1:80")], "inbound": [
            {"port": 15020, "to": "127.0.0.1:80"}, {"port": 81, "to": "127.0.0.1:15000"},
            {"port": 82, "to": "192.0.2.9:80"}]}})
    done = story.mesh.server.run([story.binary("handfast-sidecar"), "--config", path], check=False)
    expect_eq(done.returncode, 64, "the exit code")
    for part in ("15008 is ports.tunnel", "other hosts could reach 0.0.0.0:5432", "the value is 'db:5432'",
                 "'to' is 127.0.0.1:80, which is this host", "15020 is ports.metrics",
                 "'to' is 127.0.0.1:15000, which is ports.admin", "'to' is 192.0.2.9:80"):
        expect_in(part, done.stderr + done.stdout, "the errors")
