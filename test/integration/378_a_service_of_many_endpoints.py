"""Of a service of 150 endpoints 100 are silent, all neighbors: its callers find the 50 that serve.

    client: [sidecar] ==tunnel==> 192.0.2.100 to .149, all at server: [sidecar] -> echo
                      --> 192.0.2.150 to .249: nothing answers"""

import threading

from handfast_harness import Mesh, StreamServer, expect, expect_eq, identity_of, stream

DEADLINE_S = 240

SERVICE, PORT = "203.0.113.200", 80
SERVING = ["192.0.2.%d" % i for i in range(100, 150)]
SILENT = ["192.0.2.%d" % i for i in range(150, 250)]
CALLS = 100


def arrange(story):
    server = identity_of("server")
    mesh = story.mesh = Mesh(
        story, hosts=("client", "server"), leaf_ttl="1h", start=False, sidecar={"workers": 1},
        services=[{"name": "web", "address": SERVICE, "ports": [{"port": PORT, "target": 9000}], "identity": server}],
        entries=[{"address": address, "identity": server} for address in SERVING + SILENT])
    mesh.server.ip(*["addr add %s/32 dev lo" % address for address in SERVING])
    mesh.net.router.ip(*["route add %s/32 via %s" % (address, mesh.server.ipv4) for address in SERVING],
                       *["route add blackhole %s/32" % address for address in SILENT])
    mesh.start_control()
    mesh.start_sidecar("client")
    mesh.start_sidecar("server", configuration={"identity": {"claim_address": False}})
    story.own(StreamServer(story, mesh.server, 9000, "echo"))


def _call(story, answers):
    try:
        with story.mesh.client.connect(SERVICE, PORT, uid=1000, timeout_s=20) as sock:
            sock.sendall(b"hello")
            answers.append(stream.receive_exactly(sock, 5) == b"hello")
    except OSError:
        answers.append(False)


def _served(story):
    answers = []
    threads = [threading.Thread(target=_call, args=(story, answers)) for _ in range(CALLS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(answers)


def shows_that_most_calls_find_an_endpoint_while_the_silent_ones_are_not_known(story):
    served = _served(story)  # each has time for five tries, of 2 s
    expect(served >= 0.7 * CALLS, "%d of %d calls were served" % (served, CALLS))


def shows_that_none_fails_once_they_are_known(story):
    expect_eq(_served(story), CALLS, "calls that were served")
    used = {line["endpoint"] for line in story.mesh.sidecar("client").access_log(direction="outbound", reason="done")}
    expect(len(used) > 35, "only %d of the 50 endpoints that serve were used" % len(used))
