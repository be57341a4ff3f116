"""Prometheus' own check of metrics finds nothing to report in those of either program: names, units, types, help.

    peer -> sidecar 15020, control plane 15014; promtool check metrics"""

import subprocess

from handfast_harness import Mesh, expect, expect_eq
from handfast_harness.control_plane import METRICS as OF_CONTROL
from handfast_harness.sidecar import ADMIN as OF_PAGES
from handfast_harness.sidecar import METRICS as OF_SIDECAR


def arrange(story):
    story.mesh = Mesh(story, hosts=("server",), outsiders=("peer",), leaf_ttl="1h")
    story.pages = {"sidecar": (story.mesh.server.ipv4, OF_SIDECAR), "control": (story.mesh.net.control.ipv4, OF_CONTROL)}


def shows_that_promtool_reports_nothing(story):
    for name, place in story.pages.items():
        status, page = story.mesh.peer.http("http://%s:%d/metrics" % place)
        expect_eq(status, 200, "status of the metrics of the %s" % name)
        expect(page.count(b"# TYPE") > 20, "the metrics of the %s are too few" % name)
        done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True)
        expect_eq((done.returncode, done.stderr.decode()), (0, ""), "what promtool reports of the %s" % name)


def shows_that_a_target_may_have_a_name(story):
    """A name leads to metrics and health from the network, and to no page of the loopback port."""
    def status(host, address, port, path):
        return host.run(["curl", "-sS", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}", "--resolve",
                         "target.example:%d:%s" % (port, address), "http://target.example:%d%s" % (port, path)]).stdout

    for name, (address, port) in story.pages.items():
        for path in ("/metrics", "/healthz/ready", "/healthz/live"):
            expect_eq(status(story.mesh.peer, address, port, path), "200", "%s of the %s by name" % (path, name))
        expect_eq(status(story.mesh.peer, address, port, "/other"), "403", "another page of the %s by name" % name)
    expect_eq(status(story.mesh.server, "127.0.0.1", OF_PAGES, "/check"), "403", "a page for operators by name")
