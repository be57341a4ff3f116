"""A health probe of a strict port: in plaintext it is refused; the sidecar makes it and answers for the workload.

    control
       |
    router --- prober (no sidecar): curl -> server: [sidecar: strict; 15020/probe/...] -> nginx:80"""

from handfast_harness import Mesh, Nginx, expect, expect_eq, expect_in, wait_until

DEADLINE_S = 120
PROBES = ["web/readiness http 80 /marker", "web/liveness http 80 /absent header=X-Probe:a%2Cb",
          "web/startup tcp 80", "other/startup tcp 81", "slow/startup http 8080 /11 timeout=15",
          "slow/readiness http 8080 /11", "slow/liveness http 8080 /60 timeout=300"]
MOST = 64  # connections of port 15020
SLOW = """
import http.server, time, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(float(self.path[1:]))  # duration: what the probe waits for
        self.send_response(200)
        self.end_headers()
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
Server((sys.argv[1], 8080), Page).serve_forever()
"""


def arrange(story):
    story.mesh = Mesh(story, hosts=("server",), outsiders=("prober",), leaf_ttl="1h",
                      sidecars={"server": {"inbound": {"mode": "strict"}, "probes": PROBES}})
    story.nginx = story.own(Nginx(story, story.mesh.server, 80, {"marker": b"well"}))
    story.spawn(story.mesh.server, "slow", ["/usr/bin/python3", "-c", SLOW, story.mesh.server.ipv4], uid=1000)
    wait_until("the slow server to listen", lambda: story.mesh.server.accepts(8080, story.mesh.server.ipv4))


def _get(story, port, path, max_s=5):
    """The status that curl sees; 0: no answer."""
    done = story.mesh.prober.run(["curl", "-s", "-o", "/dev/stderr", "-w", "%{http_code}", "--max-time", str(max_s),
                                  "http://%s:%d%s" % (story.mesh.server.ipv4, port, path)], check=False)
    return int(done.stdout), done.stderr


def shows_that_a_probe_in_plaintext_is_refused(story):
    expect_eq(_get(story, 80, "/marker")[0], 0, "status of a plaintext request to a strict port")
    story.mesh.sidecar("server").wait_for_access(direction="inbound_plain", reason="plaintext_refused")


def shows_that_the_sidecar_makes_the_probes_of_its_settings(story):
    expect_eq(_get(story, 15020, "/probe/web/readiness"), (200, "the workload answered 200\n"), "http probe")
    expect_eq(_get(story, 15020, "/probe/web/startup"), (200, "port 80 accepts connections\n"), "tcp probe")


def shows_that_a_failure_has_the_workloads_status_and_a_reason(story):
    expect_eq(_get(story, 15020, "/probe/web/liveness"), (404, "the workload answered 404\n"), "http probe")
    status, text = _get(story, 15020, "/probe/other/startup")
    expect_eq(status, 503, "status of a probe of a closed port")
    expect_in("cannot connect to port 81 of the workload", text, "text of a probe of a closed port")


def shows_that_a_probe_has_its_own_timeout(story):
    expect_eq(_get(story, 15020, "/probe/slow/startup", 18), (200, "the workload answered 200\n"), "a probe of 15 s")
    status, text = _get(story, 15020, "/probe/slow/readiness", 8)
    expect_eq((status, text), (503, "the workload did not answer within 1 s, the probe's timeout\n"), "a probe of 1 s")


def _num_asked(story):
    return len(story.mesh.server.run(["ss", "-Htn", "state", "established", "sport", "=", ":8080"]).stdout.splitlines())


def shows_that_probes_whose_askers_are_gone_end(story):
    """A host may ask without end, and hold each for 300 s: the port keeps so many connections, and no more probes."""
    held = []
    for _ in range(2 * MOST):
        sock = story.mesh.prober.connect(story.mesh.server.ipv4, 15020)
        sock.sendall(b"GET /probe/slow/liveness HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        held.append(sock)
    wait_until("as many probes as connections that wait", lambda: MOST - 2 <= _num_asked(story) <= MOST + 1, 20)
    for sock in held:
        sock.close()
    expect_eq(_get(story, 15020, "/probe/web/readiness"), (200, "the workload answered 200\n"), "http probe")


def shows_that_no_other_page_can_be_reached_through_it(story):
    for path in ("/probe/", "/probe/web", "/probe/web/readiness/../../marker", "/probe/web/readiness?path=/other"):
        status, text = _get(story, 15020, path)
        expect(status == 404 or text == "the workload answered 200\n", "%s gave %d: %s" % (path, status, text))
    with open(story.nginx.access_log) as file:
        pages = {line.split('"')[1].split()[1] for line in file if '"' in line}
    expect(pages <= {"/marker", "/absent"}, "pages that nginx saw: %s" % sorted(pages))
