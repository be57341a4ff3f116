#!/usr/bin/env python3
"""What is in deploy/monitoring is true of the tree: the alerts and the dashboard name metrics, labels and values of the tables
that the programs are built from; each alert states what to do and names a page of docs/; Prometheus' promtool accepts the rules,
and for each alert its tests have a time when it fires and one when it does not. Prints a line per finding, then
`N passed, N failed`, where N counts rules. Needs Debian's prometheus and python3-yaml."""

import re
import subprocess
import sys

import yaml

import documents
import reference
from tree import ROOT, report_rules

FOLDER = ROOT / "deploy/monitoring"
RULES_FILE, TESTS_FILE = "handfast.rules.yaml", "handfast.rules.test.yaml"
SEVERITIES = {"critical", "warning", "info"}
# What Prometheus adds to what it scrapes.
OF_PROMETHEUS = {"job", "instance", "le"}
UP = {"up": {}}
_STRING = r'"(?:[^"\\]|\\.)*"'
sys.path.insert(0, str(FOLDER))
import dashboard  # noqa: E402 (the path must be set first)


def tables():
    """{metric: {label: its values, None: any}} of both programs; of a histogram also its three names."""
    found = dict(UP)
    for program in reference.METRICS:
        for metric in reference.metrics_of(program):
            names = [metric.name] + [metric.name + end for end in ("_bucket", "_sum", "_count")] * (metric.kind == "histogram")
            for name in names:
                labels = found.setdefault(name, {})
                for label, values in metric.labels.items():
                    labels[label] = labels.get(label, []) + [value for text in values for value in text.split(", ")]
    return found


def rules():
    return [rule for group in yaml.safe_load((FOLDER / RULES_FILE).read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def alerts():
    return [rule for rule in rules() if "alert" in rule]


def selectors(expression):
    """(metric, [(label, operator, value)]) of a PromQL expression; functions, keywords and grouped labels are none."""
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)|\[[^\]]*\]|\boffset \w+", " ", expression)
    for match in re.finditer(r'(?<![\w."])([a-z_][a-z0-9_:]*+)(?:\{((?:[^}"]|%s)*)\})?(?!\s*\()' % _STRING, text):
        if match[1] not in KEYWORDS:
            yield match[1], re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"', match[2] or "")


KEYWORDS = {"and", "or", "unless", "bool"}


def grouped_labels(expression):
    return {label for group in re.findall(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)", expression)
            for label in re.findall(r"\w+", group)}


def words_of(pattern):
    """The values that a matcher lists, or none if it is another expression."""
    return pattern.split("|") if re.fullmatch(r"[\w|.-]+", pattern) else []


def gaps_of(expression, known):
    """What an expression names and no table has. known: as tables() gives it, with the recordings."""
    labels = set(OF_PROMETHEUS)
    for name, matchers in selectors(expression):
        if name not in known:
            yield f"{name}: no such metric"
            continue
        labels |= set(known[name])
        for label, _, value in matchers:
            if label not in known[name] and label not in OF_PROMETHEUS:
                yield f"{name} has no label {label}"
            for word in words_of(value) if label in known[name] else ():
                values = known[name][label]
                if word not in values and all(re.fullmatch(r"[\w.-]+", one) for one in values):
                    yield f"{name}: {label} is never {word}"
    for label in grouped_labels(expression) - labels:
        yield f"no metric of the expression has the label {label}"


def with_recordings():
    """tables(), and the recordings with the labels of what they are made of."""
    known = tables()
    for rule in rules():
        if "record" in rule:
            known[rule["record"]] = {label: values for name, _ in selectors(rule["expr"]) for label, values in known.get(name, {}).items()}
    return known


def rules_name_what_is_there():
    """Each metric, label and value of a rule is in a table of the programs."""
    known = with_recordings()
    for rule in rules():
        for gap in gaps_of(rule["expr"], known):
            yield f"{rule.get('alert') or rule['record']}: {gap}"


def panels_name_what_is_there():
    """Each metric, label and value of the dashboard is in a table of the programs."""
    known = with_recordings()
    for title, expression in dashboard.expressions():
        for gap in gaps_of(expression.replace("$__rate_interval", "5m"), known):
            yield f"panel '{title}': {gap}"


def the_dashboard_is_current():
    """dashboard.json is what dashboard.py makes."""
    if not dashboard.is_current():
        yield "run deploy/monitoring/dashboard.py --write"


def alerts_state_what_to_do():
    """An alert has a severity, a summary, a description, and the page and heading of docs/ that explains it."""
    for alert in alerts():
        notes = alert.get("annotations", {})
        if alert.get("labels", {}).get("severity") not in SEVERITIES:
            yield f"{alert['alert']}: no severity of {sorted(SEVERITIES)}"
        for name in ("summary", "description", "page"):
            if not notes.get(name):
                yield f"{alert['alert']}: no {name}"
        page, _, anchor = notes.get("page", "").partition("#")
        text = (ROOT / page).read_text(encoding="utf-8") if (ROOT / page).is_file() else None
        if text is None or anchor not in documents.anchors(text):
            yield f"{alert['alert']}: {notes.get('page')}: no such page or heading"


def texts_have_their_labels():
    """A label in an alert's text is one that its expression has, so that no text has a gap."""
    known = with_recordings()
    for alert in alerts():
        by = re.search(r"\bby \(([^)]*)\)", alert["expr"])
        labels = set(re.findall(r"\w+", by[1])) if by else OF_PROMETHEUS | {label for name, _ in selectors(alert["expr"]) for label in known.get(name, {})}
        for label in set(re.findall(r"\$labels\.(\w+)", str(alert["annotations"]))) - labels:
            yield f"{alert['alert']}: its text has the label {label}, its expression does not"


def each_alert_is_tested():
    """Each alert has a test in which it fires, and a time before it in which nothing does."""
    tests = yaml.safe_load((FOLDER / TESTS_FILE).read_text(encoding="utf-8"))["tests"]
    samples = {test["name"]: [one["exp_samples"] for one in test["promql_expr_test"]] for test in tests}
    for name in sorted({alert["alert"] for alert in alerts()} ^ set(samples)):
        yield f"{name}: " + ("no test" if name not in samples else "a test, and no such alert")
    for name, results in samples.items():
        if not any(f'alertname="{name}"' in str(one) for one in results) or [] not in results:
            yield f"{name}: its test needs a time when it fires and one when it does not"


def promtool(*words):
    """Its output, if it is not content."""
    done = subprocess.run(["promtool", *words], cwd=FOLDER, capture_output=True, text=True)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.strip()] if done.returncode != 0 else []


def promtool_accepts_the_rules():
    """promtool check rules, and check config of the example."""
    yield from promtool("check", "rules", RULES_FILE)
    yield from promtool("check", "config", "prometheus.yaml")


def the_alerts_fire_and_do_not():
    """promtool test rules."""
    yield from promtool("test", "rules", TESTS_FILE)


RULES = [rules_name_what_is_there, panels_name_what_is_there, the_dashboard_is_current, alerts_state_what_to_do,
         texts_have_their_labels, each_alert_is_tested, promtool_accepts_the_rules, the_alerts_fire_and_do_not]


if __name__ == "__main__":
    sys.exit(report_rules(RULES))
