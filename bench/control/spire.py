#!/usr/bin/python3
"""The same from SPIRE, as far as it is the same: a server and many of its agents, which enroll at once by join tokens.

    bench/control/spire.py --programs FOLDER --agents 20 100

FOLDER has spire-server and spire-agent. A real agent is a process of its own of tens of MB, so there are fewer of them
than of simulated sidecars; what grows with their number is measured at the server alone. Needs root (a network
namespace of its own, which ends with it)."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE]

from control_bench import cost  # noqa: E402 (the path must be set first)

PORT, REST_S, DEADLINE_S = 8081, 10, 120
SERVER = """server {
  bind_address = "127.0.0.1" bind_port = "%d" socket_path = "%s/api.sock" trust_domain = "cluster.local" data_dir = "%s"
  log_level = "WARN" ratelimit { attestation = false signing = false }
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "%s/store.sqlite3" } }
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "disk" { plugin_data { keys_path = "%s/keys.json" } }
}
"""
AGENT = """agent {
  data_dir = "%s" log_level = "ERROR" server_address = "127.0.0.1" server_port = "%d" socket_path = "%s/api.sock"
  trust_bundle_path = "%s" trust_domain = "cluster.local" join_token = "%s"
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data {} }
}
"""


def write(path, text):
    with open(path, "w") as file:
        file.write(text)
    return path


def await_all(what, is_reached):
    since = time.monotonic()
    while not is_reached():
        if time.monotonic() - since > DEADLINE_S:
            raise RuntimeError("%s: not within %d s" % (what, DEADLINE_S))
        time.sleep(0.05)  # duration: between two polls
    return time.monotonic() - since


def num_connections():
    """Established ones to the server, at its end. Of this namespace."""
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file][1:]
    return sum(row[3] == "01" and int(row[1].split(":")[1], 16) == PORT for row in rows)


class Spire:
    def __init__(self, programs, folder, num):
        self.programs, self.folder, self.num, self.agents, self.server = programs, folder, num, [], None
        self.log = open(os.path.join(folder, "log"), "ab")
        self.settings = write(os.path.join(folder, "server.conf"), SERVER % (PORT, folder, folder, folder, folder))

    def run(self, *words):
        return subprocess.run([os.path.join(self.programs, "spire-server"), *words, "-socketPath", self.folder + "/api.sock"],
                              capture_output=True, text=True)

    def launch(self, program, settings):
        return subprocess.Popen([os.path.join(self.programs, program), "run", "-config", settings], stdout=self.log,
                                stderr=self.log, stdin=subprocess.DEVNULL)

    def start(self):
        self.server = self.launch("spire-server", self.settings)
        await_all("the server", lambda: self.run("healthcheck").returncode == 0)

    def num_attested(self):
        words = self.run("agent", "count").stdout.split()
        return int(words[0]) if words and words[0].isdigit() else 0

    def make_agents(self):
        """Their settings, each with a token."""
        roots, made = write(os.path.join(self.folder, "roots.pem"), self.run("bundle", "show").stdout), []
        for number in range(self.num):
            folder = os.path.join(self.folder, "agent-%d" % number)
            os.mkdir(folder)
            name = "spiffe://cluster.local/node/%d" % number
            token = json.loads(self.run("token", "generate", "-spiffeID", name, "-output", "json").stdout)["value"]
            made.append(write(os.path.join(folder, "agent.conf"), AGENT % (folder, PORT, folder, roots, token)))
        return made

    def stop(self):
        for process in [*self.agents, self.server]:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()


def enroll(spire):
    settings, pid = spire.make_agents(), spire.server.pid
    resident, before = cost.resident_kb(pid), cost.cpu_s(pid)
    spire.agents = [spire.launch("spire-agent", one) for one in settings]
    took = await_all("all are attested", lambda: spire.num_attested() >= spire.num)
    time.sleep(REST_S)  # duration: until all have their first answers
    return {"agents": spire.num, "enroll_s": took, "enroll_cpu_ms": 1000 * (cost.cpu_s(pid) - before) / spire.num,
            "agent_cpu_ms": 1000 * cost.cpu_s(*(agent.pid for agent in spire.agents)) / spire.num,
            "resident_kb": (cost.resident_kb(pid) - resident) / spire.num,
            "agent_mb": sum(cost.resident_kb(agent.pid) for agent in spire.agents) / 1024 / spire.num}


def rest(spire):
    before = cost.cpu_s(spire.server.pid)
    time.sleep(REST_S)  # duration: what is measured
    return {"rest_cpu_percent": 100 * (cost.cpu_s(spire.server.pid) - before) / REST_S}


def crash(spire):
    spire.server.kill()
    spire.server.wait()
    since = time.monotonic()
    spire.start()
    await_all("all are back", lambda: num_connections() >= spire.num)
    return {"back_s": time.monotonic() - since}


def one_size(programs, num):
    with tempfile.TemporaryDirectory(prefix="spire-bench-", dir="/dev/shm") as folder:
        spire = Spire(programs, folder, num)
        try:
            spire.start()
            return {**enroll(spire), **rest(spire), **crash(spire)}
        finally:
            spire.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", help="the folder with spire-server and spire-agent")
    parser.add_argument("--agents", type=int, nargs="+", default=[20, 100])
    options = parser.parse_args()
    if os.geteuid() != 0 or not options.programs or not os.path.exists(os.path.join(options.programs, "spire-server")):
        print("left out: needs root, and --programs with spire-server and spire-agent", file=sys.stderr)
        return 77
    if os.environ.get("HANDFAST_BENCH_NAMESPACE") is None:
        os.environ["HANDFAST_BENCH_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for num in options.agents:
        print(json.dumps(one_size(options.programs, num)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
