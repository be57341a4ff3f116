"""A sidecar whose addresses were released by command reports it until it claims them again; a release at the control
plane of an address whose sidecar is connected warns.

    control --- router --- client: [sidecar] ==tunnel==> server: [sidecar] -> echo

Rows: L6."""

import json
import time

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, needs, stream, wait_until

NAME = "addresses released"
LINGER_S = 8  # for 3 s after the control plane has seen the end of its stream
DEADLINE_S = 300  # a refused claim is made again after 30 s


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h")
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    story.server = story.mesh.sidecar("server")
    wait_until("the server to own its addresses", lambda: _held(story) == _all_of(story), 40)


def _all_of(story):
    return {story.mesh.server.ipv4, story.mesh.server.ipv6}


def _held(story):
    return {claim["address"] for claim in story.server.admin("/certs")["addresses"] if claim["held"]}


def _conditions(story):
    return {row["name"]: row for row in story.server.admin("/check")["conditions"]}


def _metric(story):
    return story.server.metrics()['handfast_condition{name="claim_released"}']


def _reaches(story):
    try:
        with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000) as sock:
            sock.settimeout(8)
            sock.sendall(b"hello")
            return stream.receive_exactly(sock, 5) == b"hello"
    except (OSError, EOFError, AssertionError):
        return False


def shows_that_a_release_is_a_condition(story):
    expect(NAME not in _conditions(story), "the condition is there before the release")
    expect_eq(_metric(story), 0, "the metric before the release")
    expect_in("claims them again", story.server.command("release"), "the answer")
    wait_until("callers to reach it no more", lambda: not _reaches(story), 30)
    story.mesh.sidecar("client").wait_for_access(destination="%s:9000" % story.mesh.server.ipv4, reason="unresolved")
    row = _conditions(story)[NAME]
    expect_eq(row["level"], "degraded", "level")
    expect_in("peers do not find this workload; expected: ", row["detail"], "detail")
    expect_in("handfast-sidecar upgrade", row["fix"], "fix")
    status, text = story.server.probe()
    expect_eq((status, text.splitlines()[0]), (200, "ready"), "readiness")
    expect_in("degraded: %s: its addresses were released by command" % NAME, text, "the readiness page")
    expect_eq(_metric(story), 1, "the metric")
    expect_in("the addresses of this sidecar are released", story.server.process.log(), "the sidecar's log")
    check = story.mesh.server.run([story.binary("handfast"), "check"], check=False)
    expect_eq(check.returncode, 1, "exit code of handfast check")
    expect_in(NAME, check.stdout, "handfast check")


@needs(shows_that_a_release_is_a_condition)
def shows_that_an_upgrade_claims_the_addresses_again(story):
    story.server.upgrade().wait_for_exit(20)
    wait_until("the addresses to be owned again", lambda: _held(story) == _all_of(story), 45)
    wait_until("callers to reach it again", lambda: _reaches(story), 30)
    expect(NAME not in _conditions(story), "the condition is there after the upgrade")
    expect_eq(_metric(story), 0, "the metric after the upgrade")


@needs(shows_that_an_upgrade_claims_the_addresses_again)
def shows_that_a_restart_claims_them_again(story):
    story.server.command("release")
    wait_until("the condition", lambda: NAME in _conditions(story), 10)
    story.server.restart()
    wait_until("the addresses to be owned again", lambda: _held(story) == _all_of(story), 45)
    expect(NAME not in _conditions(story), "the condition is there after the restart")


@needs(shows_that_a_restart_claims_them_again)
def shows_that_the_release_of_a_connected_sidecars_address_warns(story):
    control, server = story.mesh.control, story.mesh.server
    done = control.run("entry", "release", server.ipv6, "--output", "json")
    expect_eq(json.loads(done.stdout), {"was_held": True, "was_connected": True}, "answer in JSON")
    done = control.run("entry", "release", server.ipv4)
    expect_eq(done.stdout, "released\n", "answer")
    expect_in("warning: the sidecar with this address is connected", done.stderr, "the warning")
    wait_until("the notification of the sidecar", lambda: server.ipv4 not in _held(story), 10)
    story.server.process.wait_for_log("wait 30 s: the sidecar claims it again then")
    wait_until("the address to be owned again", lambda: _held(story) == _all_of(story), 60)


@needs(shows_that_the_release_of_a_connected_sidecars_address_warns)
def shows_that_the_release_of_a_stopped_sidecars_address_does_not_warn(story):
    story.server.stop()
    time.sleep(LINGER_S)  # duration: until then it counts as connected
    done = story.mesh.control.run("entry", "release", story.mesh.server.ipv4)
    expect_eq((done.stdout, done.stderr), ("released\n", ""), "the answer")
