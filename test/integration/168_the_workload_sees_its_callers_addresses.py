"""Mode tproxy: the workload's connections have their callers' addresses, so that programs that go by them work unchanged.

    client, other: psql -> [sidecar] ==tunnel==> server: [sidecar, CAP_NET_RAW alone] -> PostgreSQL with pg_hba by address"""

from handfast_harness import Capture, Postgres, expect, expect_eq, expect_in, stream, strict_mesh

DEADLINE_S = 120


def arrange(story):
    mesh = story.mesh = strict_mesh(story, hosts=("client", "other", "server"), tproxy=("server",))
    hba = "host all all %s/32 trust\nhost all all %s/128 trust\n" % (mesh.client.ipv4, mesh.client.ipv6)
    story.postgres = story.own(Postgres(story, mesh.server, hba="local all all trust\n" + hba))


def shows_that_the_sidecar_has_one_capability_and_check_proves_the_mode(story):
    with open("/proc/%d/status" % story.mesh.sidecar("server").process.pid) as file:
        status = file.read()
    for row in ("CapEff", "CapPrm"):
        expect_in(row + ":\t0000000000002000", status, "the capabilities (CAP_NET_RAW is bit 13)")
    done = story.mesh.server.run([story.binary("handfast-init"), "check"])
    for point in ("source_ipv4", "source_ipv6", "guard_ipv4", "guard_ipv6"):
        expect_in(point, done.stdout, "the points of the check")


def shows_that_without_the_capability_the_start_fails_with_the_reason(story):
    sidecar = story.mesh.make_sidecar("stranger", rules=None, configuration={"interception": "tproxy"})
    process = sidecar.launch()
    expect_eq(process.wait_for_exit(), 77, "the exit code")
    expect_in("has no CAP_NET_RAW", process.log(), "the log")


def shows_that_pg_hba_decides_by_the_callers_address(story):
    for address, own in ((story.mesh.server.ipv4, story.mesh.client.ipv4), (story.mesh.server.ipv6, story.mesh.client.ipv6)):
        expect_eq(story.postgres.psql(story.mesh.client, address, "select host(inet_client_addr())"), own, "the caller")
        try:
            story.postgres.psql(story.mesh.other, address, "select 1")
        except RuntimeError as refused:
            expect_in("no pg_hba.conf entry", str(refused), "the refusal of another host")
        else:
            expect(False, "a host that pg_hba.conf does not list was let in")


def shows_that_without_the_routing_rule_nothing_leaves_and_check_fails(story):
    host = story.mesh.server
    host.ip("rule del fwmark 1337 lookup 1337")
    with Capture(story, story.mesh.net.router, "to-server") as wire:
        expect_eq(stream.attempt(story.mesh.client, host.ipv4, 5432, b"x", timeout_s=3)[0], b"", "an answer")
    expect_eq([key for key in wire.streams() if 5432 in (key[1], key[3])], [], "packets of port 5432 outside the tunnel")
    expect_eq(host.run([story.binary("handfast-init"), "check"], check=False).returncode, 1, "the exit code of check")
    host.run([story.binary("handfast-init"), "up", "--mode", "tproxy"])
    expect_eq(story.postgres.psql(story.mesh.client, host.ipv4, "select 1"), "1", "the answer after `up`")
    host.run([story.binary("handfast-init"), "down"])
    expect("fwmark" not in host.run(["ip", "rule"]).stdout, "`down` left the routing rule")
