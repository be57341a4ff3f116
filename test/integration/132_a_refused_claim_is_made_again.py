"""An address gets a new owner: its new sidecar's claim is refused, and granted automatically once the old claim ends.

    control --- router --- client: [sidecar]
                       --- server: [sidecar of old], then [sidecar of new] with a state folder of its own -> echo

Rows: I5, L6."""


from handfast_harness import Mesh, StreamServer, expect_eq, expect_in, identity_of, needs, wait_until
from handfast_harness import stream

DEADLINE_S = 150
OLD, NEW = identity_of("old"), identity_of("new")


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h", start=False)
    story.mesh.start_control()
    story.mesh.start_sidecar("client")
    story.old = story.mesh.start_sidecar("server", identity=OLD)
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    wait_until("the old identity to own the addresses", lambda: _held(story.old) == _all_of(story), 10)
    story.old.stop()
    story.new = story.mesh.make_sidecar("server", identity=NEW).start()


def _all_of(story):
    return {story.mesh.server.ipv4, story.mesh.server.ipv6}


def _held(sidecar):
    return {claim["address"] for claim in sidecar.admin("/certs")["addresses"] if claim["held"]}


def _refused(sidecar):
    return {claim["address"] for claim in sidecar.admin("/certs")["addresses"] if not claim["held"]}


def finding_i5_a_refused_claim_names_the_command_that_releases_it(story):
    wait_until("both claims to be refused", lambda: _refused(story.new) == _all_of(story), 10)
    condition = wait_until("the condition on /check", lambda: [
        line for line in story.new.admin("/check")["conditions"] if line["name"] == "address claim refused"])
    expect_in("repeats the claim", condition[0]["fix"], "fix")
    expect_in("handfast entry release", condition[0]["detail"], "detail")
    expect_in("held by %s" % OLD, condition[0]["detail"], "detail")
    story.mesh.control.process.wait_for_log("handfast entry release ADDRESS")


def finding_i5_the_claim_is_granted_automatically_after_the_release(story):
    for address in sorted(_all_of(story)):
        expect_eq(story.mesh.control.run("entry", "release", address).stdout.strip(), "released", "answer")
    wait_until("the new identity to own both addresses", lambda: _held(story.new) == _all_of(story), 15)
    with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000) as sock:
        sock.sendall(b"hello")
        expect_eq(stream.receive_exactly(sock, 5), b"hello", "echo")
    line = story.mesh.sidecar("client").wait_for_access(destination="%s:9000" % story.mesh.server.ipv4, reason="done")
    expect_eq(line["destination_id"], NEW, "the identity that the client reached")


@needs(finding_i5_the_claim_is_granted_automatically_after_the_release)
def finding_i5_a_sidecar_is_notified_of_an_operators_release_and_claims_again(story):
    address = story.mesh.server.ipv4
    story.mesh.control.run("entry", "release", address)
    wait_until("the notification of the sidecar", lambda: _held(story.new) == _all_of(story) - {address}, 15)
    expect_in("released by an operator", story.new.process.log(), "the sidecar's log")
    story.mesh.control.restart()
    wait_until("the address to be owned again", lambda: _held(story.new) == _all_of(story), 15)


@needs(finding_i5_the_claim_is_granted_automatically_after_the_release)
def finding_i5_a_claim_is_granted_when_the_settings_allow_it(story):
    address = story.mesh.server.ipv4
    story.mesh.control.reload(entries=[{"address": address, "identity": OLD}])
    story.new.restart()
    wait_until("the claim to be refused", lambda: _refused(story.new) == {address}, 10)
    story.mesh.control.reload(entries=[])
    wait_until("the claim to be granted", lambda: _held(story.new) == _all_of(story), 15)
