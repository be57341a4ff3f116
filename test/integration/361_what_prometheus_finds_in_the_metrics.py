"""Prometheus' own check of metrics finds nothing to report in those of either program: names, units, types, help.

    peer -> sidecar 15020, control plane 15014; promtool check metrics"""

import subprocess

from handfast_harness import Mesh, expect, expect_eq
from handfast_harness.control_plane import METRICS as OF_CONTROL
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
