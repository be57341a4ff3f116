#!/usr/bin/env python3
"""Makes dashboard.json, the Grafana dashboard, from the table ROWS below: per question of an operator a row of panels.
`dashboard.py` checks that the file is current, `dashboard.py --write` writes it."""

import json
import pathlib
import sys

FILE = pathlib.Path(__file__).resolve().parent / "dashboard.json"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
# Of $instance, what the variable of the dashboard selects: by default all sidecars.
OF = 'instance=~"$instance"'
FAILED = 'reason!~"done|idle|reset_by_downstream|reset_by_upstream|drained"'

# (title of the row, [(kind, width, height, title, unit, [(expression, legend)], description)])
ROWS = [
    ("Is all well", [
        ("stat", 4, 4, "Sidecars ready", "none", [("sum(handfast_ready)", "ready"), ("count(handfast_ready)", "all")],
         "Sidecars that are ready, and all that Prometheus knows."),
        ("stat", 4, 4, "Control planes ready", "none", [("sum(handfast_control_ready)", "ready")],
         "Control planes that attest and issue."),
        ("stat", 4, 4, "Encrypted connections", "percentunit", [("handfast:connections_encrypted:ratio_rate5m", "encrypted")],
         "The share of new connections that callers' sidecars carried with mutual TLS."),
        ("stat", 4, 4, "Failed connections", "cps", [("sum(rate(handfast_connections_closed_total{%s}[$__rate_interval]))" % FAILED, "per second")],
         "Connections per second that ended with a failure, of both ends."),
        ("stat", 4, 4, "First certificate ends", "s", [("min(handfast_certificate_expiry_timestamp_seconds{kind=\"svid\"}) - time()", "in")],
         "The time until the first identity expires; sidecars renew at half of their certificates' life."),
        ("stat", 4, 4, "Root ends", "s", [("min(handfast_control_root_expiry_timestamp_seconds) - time()", "in")],
         "The time until the mesh's root ends. It is rotated by itself 90 days before."),
        ("table", 24, 6, "Conditions now", "none", [("handfast_condition == 1", "{{instance}} {{name}}"), ("handfast_control_condition > 0", "{{instance}} {{name}}")],
         "What handfast check and handfast status report now."),
    ]),
    ("Who talks, and how much", [
        ("timeseries", 8, 8, "New connections", "cps", [("sum by (instance, direction) (rate(handfast_connections_opened_total{%s}[$__rate_interval]))" % OF, "{{instance}} {{direction}}")],
         "Per sidecar and direction. Who calls whom is on the control plane's page and in the access log: no metric has a peer's name."),
        ("timeseries", 8, 8, "Bytes sent to destinations", "Bps", [("sum by (instance, direction) (rate(handfast_sent_bytes_total{%s}[$__rate_interval]))" % OF, "{{instance}} {{direction}}")],
         "Counted while connections are open."),
        ("timeseries", 8, 8, "Bytes sent back to sources", "Bps", [("sum by (instance, direction) (rate(handfast_received_bytes_total{%s}[$__rate_interval]))" % OF, "{{instance}} {{direction}}")],
         "Counted while connections are open."),
        ("timeseries", 8, 8, "Open connections", "none", [("sum by (instance, direction) (handfast_connections_active{%s})" % OF, "{{instance}} {{direction}}")],
         "In any step, also while they wait."),
        ("timeseries", 8, 8, "Encrypted or not", "cps", [("sum by (connection_security_policy) (rate(istio_tcp_connections_opened_total{reporter=\"source\", %s}[$__rate_interval]))" % OF, "{{connection_security_policy}}")],
         "New connections, as the callers' sidecars count them."),
        ("timeseries", 8, 8, "Plaintext accepted", "cps", [("sum by (instance, direction) (rate(handfast_plaintext_accepted_total{%s}[$__rate_interval]))" % OF, "{{instance}} {{direction}}")],
         "Ports that see none are ready for strict: handfast check lists them."),
        ("timeseries", 8, 8, "Open tunnels", "none", [("sum by (instance, direction) (handfast_tunnels_open{%s})" % OF, "{{instance}} {{direction}}")],
         "A tunnel carries many connections to one peer."),
        ("timeseries", 8, 8, "Key exchanges", "cps", [("sum by (group) (rate(handfast_tunnel_key_exchanges_total{%s}[$__rate_interval]))" % OF, "{{group}}")],
         "Tunnels opened, by the group; X25519MLKEM768 withstands a later quantum computer."),
        ("timeseries", 8, 8, "Answers of discovery", "cps", [("sum by (kind) (rate(handfast_discovery_answers_total{%s}[$__rate_interval]))" % OF, "{{kind}}")],
         "Unknown ones make calls wait and then fail."),
    ]),
    ("How long it takes", [
        ("timeseries", 12, 8, "Until both sides are connected", "s", [("histogram_quantile(%s, sum by (direction, le) (rate(handfast_connect_duration_seconds_bucket{%s}[$__rate_interval])))" % (q, OF), "{{direction}} p%s" % p) for q, p in ((0.5, 50), (0.95, 95), (0.99, 99))],
         "From accepting a connection, with all waiting: for an identity, an answer, a tunnel."),
        ("timeseries", 12, 8, "Handshakes of tunnels", "s", [("histogram_quantile(%s, sum by (direction, le) (rate(handfast_tunnel_handshake_duration_seconds_bucket{%s}[$__rate_interval])))" % (q, OF), "{{direction}} p%s" % p) for q, p in ((0.5, 50), (0.99, 99))],
         "From TCP connect to both HTTP/2 SETTINGS."),
    ]),
    ("What is refused or fails", [
        ("timeseries", 12, 8, "Failed connections by reason", "cps", [("sum by (direction, reason) (rate(handfast_connections_closed_total{%s, %s}[$__rate_interval])) > 0" % (FAILED, OF), "{{direction}} {{reason}}")],
         "docs/reference/close-reasons.md has what each means; handfast why has the last ones with the fix."),
        ("timeseries", 12, 8, "Failed handshakes by error", "cps", [("sum by (direction, error) (rate(handfast_handshake_failures_total{%s}[$__rate_interval])) > 0" % OF, "{{direction}} {{error}}")],
         "wrong_peer, untrusted and revoked are identities that are not accepted."),
        ("timeseries", 8, 8, "Refused by a limit", "cps", [("sum by (resource, limit) (rate(handfast_limit_refusals_total{%s}[$__rate_interval])) > 0" % OF, "{{resource}} {{limit}}"), ("sum(rate(handfast_listener_refusals_total{%s}[$__rate_interval])) > 0" % OF, "no descriptor")],
         "docs/limits-and-failures.md has the limits."),
        ("timeseries", 8, 8, "Endpoints set aside", "none", [("sum by (instance) (handfast_endpoints_ejected{%s})" % OF, "{{instance}}")],
         "Endpoints of services that failed and get no connections for a while, summed over the workers."),
        ("timeseries", 8, 8, "What a dry run would change", "cps", [("sum by (outcome) (rate(handfast_policy_dry_run_total{%s}[$__rate_interval]))" % OF, "would be {{outcome}}")],
         "Connections that dry-run rules would have decided otherwise."),
    ]),
    ("Identities and certificates", [
        ("table", 12, 8, "Identities that end first", "s", [("bottomk(20, handfast_certificate_expiry_timestamp_seconds{kind=\"svid\", %s} - time())" % OF, "{{instance}}")],
         "Seconds until the certificate of a sidecar ends."),
        ("table", 12, 8, "Certificates of the control plane, by their end", "s", [("sort(handfast_control_certificate_expiry_timestamp_seconds - time())", "{{instance}} {{kind}}")],
         "Server, webhook and intermediate are renewed by themselves at half of their life."),
        ("timeseries", 8, 8, "Life left", "percentunit", [("min by (kind) (handfast:certificate_life_left:ratio{%s})" % OF, "sidecars: {{kind}}"), ("min by (kind) (handfast_control:certificate_life_left:ratio)", "control plane: {{kind}}")],
         "Of each kind of certificate the one with the least of its life left."),
        ("timeseries", 8, 8, "Renewals", "cps", [("sum by (outcome) (rate(handfast_identity_renewals_total{%s}[$__rate_interval]))" % OF, "{{outcome}}")],
         "Of identities, on the stream to the control plane."),
        ("timeseries", 8, 8, "Rotation of the roots", "none", [("max(handfast_control_rotation_phase)", "phase"), ("max(handfast_control_rotation_waited_sidecars)", "sidecars waited for"), ("max(handfast_control_bootstrap_root_phase)", "bootstrap: phase"), ("max(handfast_control_bootstrap_root_waited_sidecars)", "bootstrap: sidecars waited for")],
         "handfast ca status names the sidecars that it waits for."),
    ]),
    ("Control plane", [
        ("timeseries", 8, 8, "Sidecars connected", "none", [("sum by (instance) (handfast_control_streams)", "{{instance}}")],
         "Identity streams that are open now."),
        ("timeseries", 8, 8, "Connections", "none", [("handfast_control_connections", "{{instance}}"), ("handfast_control_connections_max", "{{instance}} limit"), ("handfast_control_connections_waiting", "{{instance}} waiting")],
         "At the streams port, beside their limit."),
        ("timeseries", 8, 8, "Attestations and certificates", "cps", [("sum by (result) (rate(handfast_control_attestations_total[$__rate_interval]))", "attestations {{result}}"), ("sum(rate(handfast_control_svids_issued_total[$__rate_interval]))", "certificates issued"), ("sum by (result) (rate(handfast_control_renewals_total[$__rate_interval]))", "renewals {{result}}")],
         "What the control plane did per second."),
        ("timeseries", 8, 8, "Refused at the control plane", "cps", [("sum by (limit) (rate(handfast_control_connections_refused_total[$__rate_interval])) > 0", "limit {{limit}}"), ("sum(rate(handfast_control_calls_refused_total[$__rate_interval]))", "calls without an identity"), ("sum(rate(handfast_control_handshakes_failed_total[$__rate_interval]))", "handshakes")],
         "Its log has the addresses."),
        ("timeseries", 8, 8, "Signer and store", "s", [("handfast_control_signer_wait_seconds", "{{instance}} signer"), ("handfast_control_store_silent_seconds", "{{instance}} etcd silent")],
         "How long the signer and etcd have not answered."),
        ("timeseries", 8, 8, "Trust epoch", "none", [("handfast_control_trust_epoch", "{{instance}}")],
         "It rises with each change of roots, bans and lists; replicas agree within seconds."),
    ]),
    ("Processes", [
        ("timeseries", 8, 8, "Memory", "bytes", [("process_resident_memory_bytes * on (job, instance) group_left (program) handfast_build_info", "{{program}} {{instance}}")],
         "Resident memory of each process."),
        ("timeseries", 8, 8, "CPU", "percentunit", [("rate(process_cpu_seconds_total[$__rate_interval]) * on (job, instance) group_left (program) handfast_build_info", "{{program}} {{instance}}")],
         "1 is one processor."),
        ("timeseries", 8, 8, "Descriptors in use", "percentunit", [("process_open_fds / process_max_fds and on (job, instance) handfast_build_info", "{{instance}}")],
         "Of those that the process may have."),
        ("table", 24, 6, "Releases", "none", [("count by (program, version) (handfast_build_info)", "{{program}} {{version}}")],
         "How many processes run which release."),
    ]),
]


def target(number, kind, expression, legend):
    return {"refId": chr(ord("A") + number), "datasource": SOURCE, "editorMode": "code", "expr": expression, "legendFormat": legend,
            "instant": kind != "timeseries", "range": kind == "timeseries", "format": "table" if kind == "table" else "time_series"}


def options(kind):
    if kind == "stat":
        return {"colorMode": "value", "graphMode": "none", "textMode": "auto", "justifyMode": "auto", "orientation": "auto",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    if kind == "table":
        return {"showHeader": True, "cellHeight": "sm"}
    return {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"}}


def panel(number, at, row):
    kind, width, height, title, unit, expressions, description = row
    return {"id": number, "type": kind, "title": title, "description": description, "datasource": SOURCE,
            "gridPos": {"h": height, "w": width, "x": at[0], "y": at[1]},
            "fieldConfig": {"defaults": {"unit": unit, **({} if kind == "table" else {"min": 0})}, "overrides": []},
            "options": options(kind),
            "targets": [target(i, kind, *expression) for i, expression in enumerate(expressions)],
            "transformations": [{"id": "merge", "options": {}}] if kind == "table" else []}


def panels():
    number, y = 1, 0
    for title, row in ROWS:
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": y}, "panels": []}
        number, y, x, tallest = number + 1, y + 1, 0, 0
        for one in row:
            if x + one[1] > WIDTH:
                x, y, tallest = 0, y + tallest, 0
            yield panel(number, (x, y), one)
            number, x, tallest = number + 1, x + one[1], max(tallest, one[2])
        y += tallest


def variables():
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0, "multi": False,
         "includeAll": False, "refresh": 1},
        {"name": "instance", "label": "Sidecar", "type": "query", "datasource": SOURCE, "hide": 0, "multi": True, "includeAll": True,
         "allValue": ".*", "refresh": 2, "sort": 1,
         "query": {"query": "label_values(handfast_ready, instance)", "refId": "instance"},
         "current": {"text": ["All"], "value": ["$__all"]}},
    ]


def dashboard():
    return {"uid": "handfast", "title": "Handfast", "description": "The mesh: sidecars and control planes. deploy/monitoring/dashboard.py makes it.",
            "tags": ["handfast"], "schemaVersion": 39, "version": 1, "editable": True, "graphTooltip": 1, "timezone": "browser",
            "time": {"from": "now-1h", "to": "now"}, "refresh": "30s", "templating": {"list": variables()},
            "annotations": {"list": []}, "links": [], "panels": list(panels())}


def text():
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


def expressions():
    """(title of the panel, expression) of every panel."""
    return [(one[3], expression) for _, row in ROWS for one in row for expression, _ in one[5]]


def is_current():
    return FILE.is_file() and FILE.read_text(encoding="utf-8") == text()


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(text(), encoding="utf-8")
    elif not is_current():
        sys.exit("dashboard.json is not current; run deploy/monitoring/dashboard.py --write")
