"""A health probe of a strict port: in plaintext it is refused; the sidecar makes it and answers for the workload.

    control
       |
    router --- prober (no sidecar): curl -> server: [sidecar: strict; 15020/probe/...] -> nginx:80"""

from handfast_harness import Mesh, Nginx, expect, expect_eq, expect_in

PROBES = ["web/readiness http 80 /marker", "web/liveness http 80 /absent header=X-Probe:a%2Cb",
          "web/startup tcp 80", "other/startup tcp 81"]


def arrange(story):
    story.mesh = Mesh(story, hosts=("server",), outsiders=("prober",), leaf_ttl="1h",
                      sidecars={"server": {"inbound": {"mode": "strict"}, "probes": PROBES}})
    story.nginx = story.own(Nginx(story, story.mesh.server, 80, {"marker": b"well"}))


def _get(story, port, path):
    """The status that curl sees; 0: no answer."""
    done = story.mesh.prober.run(["curl", "-s", "-o", "/dev/stderr", "-w", "%{http_code}", "--max-time", "5",
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


def shows_that_no_other_page_can_be_reached_through_it(story):
    for path in ("/probe/", "/probe/web", "/probe/web/readiness/../../marker", "/probe/web/readiness?path=/other"):
        status, text = _get(story, 15020, path)
        expect(status == 404 or text == "the workload answered 200\n", "%s gave %d: %s" % (path, status, text))
    with open(story.nginx.access_log) as file:
        pages = {line.split('"')[1].split()[1] for line in file if '"' in line}
    expect(pages <= {"/marker", "/absent"}, "pages that nginx saw: %s" % sorted(pages))
