"""The control plane on a host of its own, as a user of its own, and the operator's commands to it."""

import contextlib
import json
import os
import signal
import socket

from . import settings
from .expect import wait_until
from .process import Process, expect_ended, is_running

CONTROL_UID = 1336
SIDECAR_UID = 1337
STREAMS, METRICS = 15012, 15014


class ControlPlane:
    """control.token("spiffe://..."), reload(), kill(), start() again in the same folder, run("status")."""

    def __init__(self, story, host, configuration, name="control"):
        self.story, self.host, self.name = story, host, name
        self.folder = story.folder(name)
        self.state = os.path.join(self.folder, "state")
        self.socket = os.path.join(self.folder, "run", "control.sock")
        for path in (self.state, os.path.dirname(self.socket)):
            os.makedirs(path)
            os.chown(path, CONTROL_UID, CONTROL_UID)
            os.chmod(path, 0o700)
        self.path = os.path.join(self.folder, "control.yaml")
        self.settings = settings.merge({"state_dir": self.state, "operator_socket": self.socket,
                                        "log": {"level": "debug"}}, configuration)
        self._binary, self._cli = story.binary("handfast-control"), story.binary("handfast")
        self.process, self._num_tokens = None, 0
        self.environment = None  # of the process, besides the test's own
        settings.write(self.path, self.settings)
        story.own(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def address(self):
        return "%s:%d" % (self.host.ipv4, STREAMS)

    @property
    def addresses(self):
        """One address per family of its host."""
        return [self.address] + (["[%s]:%d" % (self.host.ipv6, STREAMS)] if self.host.ipv6 else [])

    def launch(self):
        """Starts it without waiting for it."""
        expect_ended(self.process)
        self.process = Process(self.host, "handfast-" + self.name, [self._binary, "--config", self.path],
                               self.story.log_path("handfast-" + self.name), uid=CONTROL_UID, env=self.environment)
        return self.process

    def start(self, deadline_s=15.0):
        self.launch().wait_for_port(STREAMS, self.host.ipv4, deadline_s)
        self.process.wait_until("the operator's socket", self._listens_to_operators, deadline_s)
        return self

    def _listens_to_operators(self):
        """The socket's file exists a moment before the program listens."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as operator:
            operator.connect(self.socket)
            return True
        return False

    def stop(self):
        return self.process.stop(20) if self.process else None

    def kill(self):
        """SIGKILL, as in a crash: the process, and with it its signer, which ends when its connection does."""
        signers = self.process.children() if self.process.exit_code is None else []
        self.process.kill()
        wait_until("the signer to end", lambda: not any(map(is_running, signers)), 30)

    def restart(self):
        self.stop()
        return self.start()

    def configure(self, changes=None, **sections):
        """Writes the settings file: sections are replaced, changes merged."""
        self.settings = {**settings.merge(self.settings, changes), **sections}
        settings.write(self.path, self.settings)

    def reload(self, changes=None, **sections):
        """As configure, and applies them: reload(policy={...})."""
        self.configure(changes, **sections)
        self.process.signal(signal.SIGHUP)

    def run(self, *words, check=True, uid=0):
        """The operator's command line, on the control plane's host."""
        own = () if words[0] in ("audit", "completion", "inject") else ("--socket", self.socket)  # they need no control plane
        return self.host.run([self._cli, *words, *own], check=check, uid=uid)

    def svid_holders(self, identity):
        """The rows of status with that identity, one per attestation record."""
        rows = json.loads(self.run("status", "--output", "json").stdout)["svid_holders"]
        return [row for row in rows if row["id"] == identity]

    def commands_to_try(self):
        """For a person in a shell on its host."""
        return ["%s status --socket %s" % (self._cli, self.socket),
                "curl -s http://%s:%d/metrics" % (self.host.ipv4, METRICS)]

    def token(self, spiffe_id, *words, path=None):
        """The path of a new file with one join token, readable by the sidecar's user alone."""
        token = self.run("token", "create", "--id", spiffe_id, *words).stdout.strip().splitlines()[-1]
        self._num_tokens += 1
        path = path or os.path.join(self.folder, "token-%d" % self._num_tokens)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(token + "\n")
        os.chown(path, SIDECAR_UID, SIDECAR_UID)
        return path

    def key_file(self, name):
        """The signer's file with the key and certificate of "root", "intermediate", "bootstrap"."""
        found = sorted(os.path.join(folder, file) for folder, _, files in os.walk(self.state) for file in files
                       if file.startswith(name) and file.endswith(".pem"))
        return found[-1]

    def log(self):
        return self.process.log()

    def metrics(self):
        return parse_metrics(self.host.http("http://%s:%d/metrics" % (self.host.ipv4, METRICS))[1].decode())


def private_file(path, text):
    """A file of the control plane's user that others cannot read; its path."""
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o600)
    os.chown(path, CONTROL_UID, CONTROL_UID)
    return path


def parse_metrics(text):
    """{"name{labels}": value}"""
    rows = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in rows}
