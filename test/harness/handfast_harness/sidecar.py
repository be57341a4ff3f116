"""One meshed host: interception rules, a sidecar as uid 1337, and its admin pages."""

import contextlib
import json
import os
import re
import signal

from . import settings
from .control_plane import SIDECAR_UID, parse_metrics
from .expect import StoryFailure, expect_eq, wait_until
from .process import Process, expect_ended

OUTBOUND, INBOUND, TUNNEL, ADMIN, METRICS = 15001, 15006, 15008, 15000, 15020


class Sidecar:
    """sidecar.admin("/certs"), metrics(), access_log(), serial(), restart(), kill(), start()."""

    def __init__(self, story, host, spiffe_id, control_address, token, configuration=None, environment=None,
                 rules=(), binary="handfast-sidecar", capabilities=None):
        self.story, self.host, self.name, self.id = story, host, host.name, spiffe_id
        self.folder = story.folder("sidecar-" + host.name)
        self.state = os.path.join(self.folder, "state")
        for path in (self.state, os.path.join(self.folder, "run")):
            os.makedirs(path)
            os.chown(path, SIDECAR_UID, SIDECAR_UID)
            os.chmod(path, 0o700)
        self.path = os.path.join(self.folder, "sidecar.yaml")
        self.capabilities = capabilities  # as setpriv has them, "+net_raw"; or a list of its options
        self.gid = SIDECAR_UID
        self.token, self.environment, self.process = token, environment, None
        self.settings = settings.merge({
            "trust_domain": spiffe_id.split("/")[2],
            "state_dir": self.state,
            "admin_socket": os.path.join(self.folder, "run", "sidecar.sock"),
            "control": {"address": control_address},
            "identity": {"token_file": token},
            "access_log": "all",
            "log": {"level": "debug"},
            "drain_minimum": "0s",  # so that a stopped sidecar does not wait for its workload; None: the default
        }, configuration)
        settings.write(self.path, self.settings)
        self._binary, self._init = story.binary(binary), story.binary("handfast-init")
        self.rules = rules  # None: a host without interception
        story.own(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.stop()

    def intercept(self):
        """The rules come first, so that no connection bypasses the sidecar."""
        self.host.run([self._init, "up", *self.rules])
        return self

    def launch(self):
        """Starts it without waiting for it."""
        expect_ended(self.process)
        self.process = Process(self.host, "handfast-sidecar", [self._binary, "--config", self.path],
                               self.story.log_path("handfast-sidecar-" + self.name), uid=SIDECAR_UID, gid=self.gid,
                               env=self.environment, capabilities=self.capabilities)
        return self.process

    def prepare(self, *more, path=None):
        """Starts a process that takes over from the running one when it can serve, and returns it at once."""
        return Process(self.host, "handfast-sidecar that takes over",
                       [self._binary, "run", "--take-over", *more, "--config", path or self.path],
                       self.story.log_path("handfast-sidecar-" + self.name), uid=SIDECAR_UID, env=self.environment,
                       capabilities=self.capabilities)

    def upgrade(self, deadline_s=15.0):
        """Takes over by a new process, which is self.process afterwards. Returns the one before, which drains."""
        before, self.process = self.process, self.prepare()
        self.story.own(before)
        self.process.wait_for_log("taken over after", deadline_s)
        return before

    def listening_pid(self):
        """Of the process that has the tunnels' port, which a command of the program may have started. pidof would name
        those of other runs on this machine, too."""
        return int(re.search(r"pid=(\d+)", self.host.run(["ss", "-Hltnp", "sport = :%d" % TUNNEL]).stdout).group(1))

    def start(self, deadline_s=15.0):
        self.launch()
        return self.wait_until_ready(deadline_s)

    def is_ready(self):
        with contextlib.suppress(OSError):
            return self.probe()[0] == 200
        return False

    def probe(self):
        """(status, text) of /healthz/ready."""
        status, body = self.host.http("http://127.0.0.1:%d/healthz/ready" % METRICS, timeout_s=2.0)
        return status, body.decode().strip()

    def kept(self, name):
        """A file of its state; b"" while it is away, as for up to a second between two changes."""
        with contextlib.suppress(FileNotFoundError), open(os.path.join(self.state, name), "rb") as file:
            return file.read()
        return b""

    def wait_until_ready(self, deadline_s=15.0):
        try:
            self.process.wait_until("%s to be ready" % self.name, self.is_ready, deadline_s)
        except StoryFailure as failure:
            raise StoryFailure("%s; its detail: %s" % (failure, self._why_not())) from None
        return self

    def _why_not(self):
        with contextlib.suppress(OSError, ValueError, StoryFailure):
            return json.dumps([self.probe(), self.admin("/check"), self.admin("/why")])
        return "nothing (%s)" % self.process.log()[-600:].strip()

    def stop(self):
        return self.process.stop(deadline_s=35.0)

    def command(self, *words):
        """Runs `handfast-sidecar WORDS` beside the running one, as a preStop hook does. Returns its standard output."""
        return self.host.run([self._binary, *words, "--config", self.path], uid=SIDECAR_UID).stdout

    def commands_to_try(self):
        """For a person in a shell on its host."""
        return ["curl -s http://127.0.0.1:%d/%s" % (ADMIN, page) for page in ("connections", "certs", "why")] + [
            "nft list table inet handfast", "tail %s" % self.story.log_path("handfast-sidecar-" + self.name)]

    def kill(self):
        self.process.kill()

    def restart(self, deadline_s=15.0):
        self.stop()
        return self.start(deadline_s)

    def configure(self, changes):
        """For the next start."""
        self.settings = settings.merge(self.settings, changes)
        settings.write(self.path, self.settings)

    def reload(self, changes):
        self.configure(changes)
        self.process.signal(signal.SIGHUP)

    def admin(self, page):
        """A page of port 15000, parsed."""
        status, body = self.host.http("http://127.0.0.1:%d%s" % (ADMIN, page))
        expect_eq(status, 200, "%s of %s" % (page, self.name))
        return json.loads(body)

    def metrics(self):
        return parse_metrics(self.host.http("http://127.0.0.1:%d/metrics" % METRICS)[1].decode())

    def metric(self, name):
        """The sum of the rows with this name, or one row if labels are given."""
        rows = self.metrics()
        return rows.get(name, sum(value for row, value in rows.items() if row.partition("{")[0] == name))

    def access_log(self, **wanted):
        """The access-log lines with these fields, oldest first."""
        lines = [json.loads(line) for line in self.process.log().splitlines()
                 if line.startswith("{") and line.endswith("}")]
        lines = [line for line in lines if "direction" in line]
        return [line for line in lines if all(line.get(key) == value for key, value in wanted.items())]

    def wait_for_access(self, deadline_s=10.0, **wanted):
        """The first such line."""
        return wait_until("a line with %s in the access log of %s (it has %s)" %
                          (wanted, self.name, [(line["direction"], line["reason"]) for line in self.access_log()]),
                          lambda: self.access_log(**wanted), deadline_s)[0]

    def identity(self):
        """The identity on /certs, or None."""
        return self.admin("/certs")["identity"]

    def serial(self):
        identity = self.identity()
        return identity and identity["serial"]

    def wait_for_rotation(self, old=None, deadline_s=30.0):
        """The serial that follows `old` (default: the present one)."""
        old = old or self.serial()
        return wait_until("%s to renew its certificate" % self.name,
                          lambda: (lambda new: new != old and new)(self.serial()), deadline_s, 0.1)
