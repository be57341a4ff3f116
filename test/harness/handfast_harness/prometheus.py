"""A real Prometheus, Debian's, that scrapes the programs of a story and evaluates rules.

    prometheus = Prometheus(story, story.mesh.watch, {"handfast-control": ["192.0.2.1:15014"]}, rules_text).start()
    prometheus.query("handfast_ready")          [(labels, value)]
    prometheus.firing()                         {(alert, instance)}"""

import json
import os
import re
import tempfile
import urllib.parse

from . import settings
from .expect import expect_eq, wait_until
from .process import Process

PORT, UID = 9090, 65534


def scaled(text):
    """Rules or an expression whose minute is a second, hour a minute: what they wait for takes no minutes."""
    text = re.sub(r"\b(\d+)s\b", "1s", text)
    text = re.sub(r"\b(\d+)m\b", r"\1s", text)
    return re.sub(r"\b(\d+)d\b", lambda match: "%dm" % (24 * int(match[1])), re.sub(r"\b(\d+)h\b", r"\1m", text))


class Prometheus:
    """`jobs`: {name: [ADDRESS:PORT]}. It scrapes and evaluates each second."""

    def __init__(self, story, host, jobs, rules):
        self.host = host
        self.folder = story.folder("prometheus")
        self._log = story.log_path("prometheus")
        self._data = story.own(tempfile.TemporaryDirectory(prefix="hf-prometheus-"))
        os.chown(self._data, UID, UID)
        self.rules = os.path.join(self.folder, "rules.yaml")
        with open(self.rules, "w") as file:
            file.write(rules)
        self.path = os.path.join(self.folder, "prometheus.yaml")
        settings.write(self.path, {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [self.rules],
            "scrape_configs": [{"job_name": job, "static_configs": [{"targets": targets}]} for job, targets in jobs.items()]})
        self.process = None
        story.own(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.stop()

    def start(self):
        argv = ["prometheus", "--config.file=" + self.path, "--storage.tsdb.path=" + self._data,
                "--web.listen-address=127.0.0.1:%d" % PORT]
        self.process = Process(self.host, "prometheus", argv, self._log, uid=UID)
        self.process.wait_for_http("http://127.0.0.1:%d/-/ready" % PORT, deadline_s=30)
        return self

    def get(self, path, **parameters):
        status, body = self.host.http("http://127.0.0.1:%d/api/v1/%s?%s" % (PORT, path, urllib.parse.urlencode(parameters)))
        answer = json.loads(body)
        expect_eq((status, answer["status"], answer.get("error")), (200, "success", None), "answer to %s %s" % (path, parameters))
        return answer["data"]

    def query(self, expression):
        return [(row["metric"], float(row["value"][1])) for row in self.get("query", query=expression)["result"]]

    def firing(self):
        return {(alert["labels"]["alertname"], alert["labels"].get("instance", "").split(":")[0])
                for alert in self.get("alerts")["alerts"] if alert["state"] == "firing"}

    def wait_until_firing(self, *wanted, deadline_s=30.0):
        """wanted: (alert, address)"""
        return wait_until("the alerts %s" % (wanted,), lambda: set(wanted) <= self.firing(), deadline_s, 0.2)

    def wait_until_resolved(self, *names, deadline_s=40.0):
        return wait_until("the alerts %s to end" % (names,), lambda: not {name for name, _ in self.firing()} & set(names), deadline_s, 0.2)
