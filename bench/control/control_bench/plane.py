"""The control plane under test: its settings, its processes, its cost."""

import json
import os
import signal
import subprocess
import threading
import time
import urllib.request

from handfast_harness.herd import now_ms

from . import cost

UID = 1336
SERVICES, FIRST_SERVICE = 200, "127.78.0.0"
STREAMS, METRICS = 15012, 15014


class Plane:
    def __init__(self, folder, binaries, leaf_ttl, key_exchange=None):
        self.folder, self.binaries = os.path.join(folder, "control"), binaries
        self.state, self.run_folder = os.path.join(self.folder, "state"), os.path.join(self.folder, "run")
        for path in (self.folder, self.state, self.run_folder):
            os.makedirs(path)
            os.chown(path, UID, UID)
            os.chmod(path, 0o700)
        self.socket = os.path.join(self.run_folder, "control.sock")
        self.path = os.path.join(self.folder, "control.yaml")
        self.log = open(os.path.join(self.folder, "log"), "ab")
        self.key_exchange = key_exchange
        self.leaf_ttl, self.process, self.num_policies = leaf_ttl, None, 0
        self._write()

    def _write(self):
        """JSON is YAML."""
        settings = {
            "state_dir": self.state, "operator_socket": self.socket, "log": {"level": "warning"},
            "identity": {"leaf_ttl": self.leaf_ttl, "attest_per_second": 1000},
            "limits": {"max_connections": 16000},
            "tls": {"groups": [self.key_exchange]} if self.key_exchange else {},
            "mesh": {"networks": ["127.77.0.0/16", "127.78.0.0/16"]},
            "services": [{"name": "service-%d" % number, "address": "127.78.0.%d" % number,
                          "identity": "spiffe://cluster.local/service/%d" % number,
                          "ports": [{"port": 80, "target": 8080}]} for number in range(SERVICES)],
            "policy": {"workloads": [{"identity_prefix": "spiffe://cluster.local", "rules": [
                {"name": "mesh-%d" % self.num_policies, "action": "allow", "sources": [{"trust_domain": "cluster.local"}]},
                {"name": "metrics", "action": "allow", "unauthenticated": True, "ports": [9090]}]}]},
        }
        with open(self.path, "w") as file:
            json.dump(settings, file)

    def start(self):
        """Returns when it listens."""
        self.process = subprocess.Popen([self.binaries["handfast-control"], "--config", self.path], stdout=self.log,
                                        stderr=self.log, stdin=subprocess.DEVNULL, user=UID, group=UID, extra_groups=[])
        while not self._is_ready():
            if self.process.poll() is not None:
                raise RuntimeError("handfast-control ended with %d: see %s" % (self.process.returncode, self.log.name))
            time.sleep(0.01)  # duration: between two polls

    def _is_ready(self):
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/healthz/ready" % METRICS, timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self):
        """As in a crash; its signer ends with it."""
        signers = cost.children(self.process.pid)
        self.process.kill()
        self.process.wait()
        while any(os.path.exists("/proc/%d" % pid) for pid in signers):
            time.sleep(0.001)  # duration: between two polls

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def cpu_s(self):
        """Of both processes."""
        return cost.cpu_s(self.process.pid, *cost.children(self.process.pid))

    def parts_s(self):
        return cost.cpu_s(self.process.pid), cost.cpu_s(*cost.children(self.process.pid))

    def resident_kb(self):
        return cost.resident_kb(self.process.pid)

    def new_policy(self):
        """Another policy for all; the moment before it was asked for, in CLOCK_MONOTONIC."""
        self.num_policies += 1
        self._write()
        since = now_ms()
        self.process.send_signal(signal.SIGHUP)
        return since

    def operate(self, *words):
        return subprocess.run([self.binaries["handfast"], *words, "--socket", self.socket], check=True,
                              capture_output=True, text=True).stdout

    def metrics(self):
        with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % METRICS, timeout=30) as answer:
            rows = (line.rpartition(" ") for line in answer.read().decode().splitlines() if not line.startswith("#"))
            return {name: float(value) for name, _, value in rows}


class Bystander:
    """Asks for the readiness every 50 ms while a herd comes: how long others wait for the control plane."""

    def __init__(self):
        self.waits_ms, self._over = [], threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _run(self):
        while not self._over.wait(0.05):
            since = time.monotonic()
            try:
                with urllib.request.urlopen("http://127.0.0.1:%d/healthz/live" % METRICS, timeout=10) as answer:
                    answer.read()
            except OSError:
                continue  # it is not there at the moment
            self.waits_ms.append((time.monotonic() - since) * 1000)

    def worst_ms(self):
        waits = sorted(self.waits_ms) or [0]
        return {"p50": waits[len(waits) // 2], "max": waits[-1]}
