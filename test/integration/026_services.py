"""A connection to a service's address goes to one of its endpoints, with the identity of the operator's settings.

    client -> 203.0.113.200:80 -> [sidecar] ==tunnel==> one: [sidecar] -> nginx:8080
                                            ==tunnel==> two: [sidecar] -> nginx:8080    both are spiffe://.../sa/web"""

import collections

from handfast_harness import Mesh, Nginx, expect, expect_eq, identity_of, wait_until
from handfast_harness import stream

SERVICE, WEB = "203.0.113.200", identity_of("web")


def arrange(story):
    story.mesh = Mesh(story, hosts=("client", "one", "two"), leaf_ttl="1h", start=False, services=[
        {"name": "web", "address": SERVICE, "ports": [{"port": 80, "target": 8080}], "identity": WEB}])
    story.mesh.start_control()
    story.mesh.start_sidecar("client")
    for name in ("one", "two"):
        story.mesh.start_sidecar(name, identity=WEB)
        story.own(Nginx(story, story.mesh.net.hosts[name], 8080, {"who": name.encode()}))


def _ask(story):
    return story.mesh.client.http("http://%s:80/who" % SERVICE, uid=1000)


def shows_that_both_endpoints_are_used_and_each_is_the_service(story):
    met = set()  # a sidecar's claim, and the answer that follows from it, arrive a moment after its readiness
    wait_until("both endpoints to be known", lambda: met.add(_ask(story)) or len(met) == 2, 10)

    def are_both_used():  # on a busy machine an endpoint is slow now and then, and gets fewer
        answers = collections.Counter(_ask(story) for _ in range(40))
        expect(set(answers) <= {(200, b"one"), (200, b"two")}, "the answers: %s" % answers)
        return len(answers) == 2 and min(answers.values()) >= 5
    wait_until("each endpoint to get at least 5 of 40 requests", are_both_used, 20)
    line = story.mesh.sidecar("client").wait_for_access(destination=SERVICE + ":80")
    expect_eq((line["destination_id"], line["encrypted"]), (WEB, True), "in the client's log")


def shows_that_a_port_that_the_service_lacks_is_refused(story):
    expect_eq(stream.attempt(story.mesh.client, SERVICE, 81), (b"", "reset"), "the answer")
    story.mesh.sidecar("client").wait_for_access(destination=SERVICE + ":81")
