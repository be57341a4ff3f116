"""A Prometheus that loads the rules of deploy/monitoring fires an alert when the fault is there, and no other; the panels of
the dashboard have data.

    watch: prometheus --> control, client: [sidecar] ==tunnel==> server: [sidecar] -> echo

The rules are those of the file, but a minute of theirs is a second here; promtool tests them as they are (gate_monitoring.sh)."""

import pathlib
import re
import sys

from handfast_harness import Mesh, StreamServer, expect, expect_eq, identity_of, needs, stream, wait_until
from handfast_harness.prometheus import Prometheus, scaled

DEADLINE_S = 300
FOLDER = pathlib.Path(__file__).resolve().parents[2] / "deploy/monitoring"
sys.path.insert(0, str(FOLDER))
import dashboard  # noqa: E402 (the path must be set first)

RULES = (FOLDER / "handfast.rules.yaml").read_text()
# Panels of what does not happen in this story before the faults.
WITHOUT_DATA = {"Conditions now", "Failed connections by reason", "Failed handshakes by error", "Refused by a limit"}


def arrange(story):
    mesh = story.mesh = Mesh(story, outsiders=("watch",), leaf_ttl="1h")
    story.own(StreamServer(story, mesh.server, 9000, "echo"))
    jobs = {"handfast-control": [mesh.control.host.ipv4 + ":15014"],
            "handfast-sidecars": [host.ipv4 + ":15020" for host in (mesh.client, mesh.server)]}
    story.prometheus = Prometheus(story, mesh.watch, jobs, scaled(RULES)).start()


def _calls(story, times):
    """Whether each was answered."""
    return [stream.is_answered(story.mesh.client, story.mesh.server.ipv4, 9000) for _ in range(times)]


def shows_that_it_reads_the_programs_and_loads_every_rule(story):
    wait_until("all to be up", lambda: [value for _, value in story.prometheus.query("up")] == [1, 1, 1], 20, 0.2)
    wait_until("both to be ready", lambda: [value for _, value in story.prometheus.query("handfast_ready")] == [1, 1], 20, 0.2)
    rules = lambda: [rule for group in story.prometheus.get("rules")["groups"] for rule in group["rules"]]
    wait_until("each rule to have been evaluated", lambda: all(rule["health"] != "unknown" for rule in rules()), 20, 0.2)
    expect_eq([rule["name"] for rule in rules() if rule["health"] != "ok"], [], "rules that cannot be evaluated")
    expect_eq(len([rule for rule in rules() if rule["type"] == "alerting"]), len(re.findall("^ *- alert:", RULES, re.M)), "alerts")


@needs(shows_that_it_reads_the_programs_and_loads_every_rule)
def shows_that_each_panel_of_the_dashboard_has_data(story):
    def without():
        _calls(story, 4)
        panels = {}
        for title, expression in dashboard.expressions():
            expression = scaled(expression.replace("$__rate_interval", "5m").replace("$instance", ".*"))
            panels[title] = panels.get(title, 0) + len(story.prometheus.query(expression))
        return {title for title, number in panels.items() if number == 0}
    wait_until("the panels to have data (without: %s)" % without(), lambda: without() <= WITHOUT_DATA, 30, 0.5)


@needs(shows_that_it_reads_the_programs_and_loads_every_rule)
def shows_that_nothing_fires_in_a_mesh_that_is_well(story):
    seen = story.prometheus.query("count_over_time(up[1h])")
    wait_until("ten more scrapes", lambda: min(value for _, value in story.prometheus.query("count_over_time(up[1h])")) >=
               min(value for _, value in seen) + 10, 30, 0.5)
    expect_eq(story.prometheus.firing(), set(), "alerts")


@needs(shows_that_it_reads_the_programs_and_loads_every_rule)
def shows_that_refused_calls_fire_an_alert_until_they_pass_again(story):
    control = story.mesh.control
    control.reload(policy={"workloads": [{"identity": identity_of("server"), "rules": [
        {"name": "others-alone", "sources": [{"id": identity_of("other")}]}]}]})
    wait_until("calls to be refused", lambda: _calls(story, 1) == [False])
    wait_until("the alert", lambda: _calls(story, 4) and
               ("HandfastCallsRefusedByPolicy", story.mesh.server.ipv4) in story.prometheus.firing(), 30, 0.2)
    texts = [alert["annotations"] for alert in story.prometheus.get("alerts")["alerts"]]
    expect(all("no value" not in str(text) and "error" not in str(text) for text in texts), "texts: %s" % texts)
    control.reload(policy={})
    wait_until("calls to pass", lambda: _calls(story, 1) == [True])
    story.prometheus.wait_until_resolved("HandfastCallsRefusedByPolicy")


@needs(shows_that_it_reads_the_programs_and_loads_every_rule)
def shows_that_a_killed_control_plane_fires_alerts_until_it_is_back(story):
    mesh, prometheus = story.mesh, story.prometheus
    mesh.control.kill()
    prometheus.wait_until_firing(
        ("HandfastNoControlPlane", ""), ("HandfastControlPlaneDown", mesh.control.host.ipv4),
        ("HandfastControlPlaneUnreachable", mesh.client.ipv4), ("HandfastControlPlaneUnreachable", mesh.server.ipv4))
    for name in ("client", "server"):
        rows = mesh.sidecar(name).metrics()
        on = {row for row, value in rows.items() if row.startswith("handfast_condition{") and value}
        expect_eq((rows["handfast_ready"], on), (1, {'handfast_condition{name="control_unreachable"}'}), "conditions of " + name)
    mesh.control.start()
    wait_until("all alerts to end", lambda: prometheus.firing() == set(), 60, 0.2)


@needs(shows_that_it_reads_the_programs_and_loads_every_rule)
def shows_that_a_sidecar_that_is_gone_fires_and_one_that_drains_does_not(story):
    client, prometheus = story.mesh.sidecar("client"), story.prometheus
    client.command("drain")
    expect_eq((client.metric("handfast_ready"), client.metric('handfast_condition{name="draining"}')), (0, 1), "a draining sidecar")
    seen = prometheus.query('count_over_time(handfast_ready{instance=~"%s:.*"}[1h])' % story.mesh.client.ipv4)[0][1]
    wait_until("more scrapes than the alert waits for", lambda: prometheus.query(
        'count_over_time(handfast_ready{instance=~"%s:.*"}[1h])' % story.mesh.client.ipv4)[0][1] >= seen + 8, 30, 0.5)
    expect_eq(prometheus.firing(), set(), "alerts about a draining sidecar")
    client.kill()
    prometheus.wait_until_firing(("HandfastSidecarDown", story.mesh.client.ipv4))
