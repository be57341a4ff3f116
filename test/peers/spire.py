"""SPIRE's server and agents, as others.spire() has them.

server = Server(story, story.mesh.spire, "cluster.local", programs).start()
agent = Agent(server, "node1", uid=1337).start()
server.entry("spiffe://cluster.local/ns/default/sa/a", agent)
server.rotate(), server.run("bundle", "show").stdout"""

import json
import os

from handfast_harness import wait_until
from handfast_harness.process import expect_ended

API, BUNDLE = 8081, 8443


class _Program:
    def __init__(self, story, host, name, argv):
        self.story, self.host, self.name, self.process, self._argv = story, host, name, None, argv
        self.environment = None

    def launch(self):
        expect_ended(self.process)
        self.process = self.story.spawn(self.host, self.name, self._argv, env=self.environment)

    def kill(self):
        self.process.kill()


class Server(_Program):
    """profile: of its bundle endpoint, such as 'https_spiffe' {}."""

    def __init__(self, story, host, trust_domain, programs):
        self.folder, self.programs, self.trust_domain = story.folder("spire-server"), programs, trust_domain
        self.socket, self._path = os.path.join(self.folder, "api.sock"), os.path.join(self.folder, "server.conf")
        super().__init__(story, host, "spire-server", [os.path.join(programs, "spire-server"), "run", "-config", self._path])

    def start(self, profile='"https_spiffe" {}'):
        with open(self._path, "w") as file:
            file.write("""server {
  bind_address = "0.0.0.0" bind_port = "%d" socket_path = "%s" trust_domain = "%s" data_dir = "%s" log_level = "DEBUG"
  ca_ttl = "1h"
  federation { bundle_endpoint { address = "0.0.0.0" port = %d refresh_hint = "3s" profile %s } }
  experimental { cache_reload_interval = "1s" }
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "%s/store.sqlite3" } }
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "disk" { plugin_data { keys_path = "%s/keys.json" } }
}
""" % (API, self.socket, self.trust_domain, self.folder, BUNDLE, profile, self.folder, self.folder))
        self.launch()
        wait_until("SPIRE's server", lambda: self.run("healthcheck", check=False).returncode == 0, 30, 0.2)
        return self

    def run(self, *words, check=True):
        return self.host.run([os.path.join(self.programs, "spire-server"), *words, "-socketPath", self.socket], check=check)

    def entry(self, spiffe_id, agent, federates_with=None, ttl_s=20):
        """Returns its id."""
        more = ["-federatesWith", federates_with] if federates_with else []
        done = self.run("entry", "create", "-spiffeID", spiffe_id, "-parentID", agent.id, "-selector", "unix:uid:%d" % agent.uid,
                        "-x509SVIDTTL", str(ttl_s), "-output", "json", *more)
        return json.loads(done.stdout)["results"][0]["entry"]["id"]

    def authorities(self):
        """{active, prepared, old: the id}"""
        shown = json.loads(self.run("localauthority", "x509", "show", "-output", "json").stdout)
        return {state: one["authority_id"] for state, one in shown.items() if one}

    def authority(self, verb, authority=None):
        """prepare, activate, taint, revoke"""
        self.run("localauthority", "x509", verb, *(["-authorityID", authority] if authority else []))


class Agent(_Program):
    """It attests by a join token, and gives what its entries state to processes of that user."""

    def __init__(self, server, name, uid):
        self.server, self.uid, self.id = server, uid, "spiffe://%s/node/%s" % (server.trust_domain, name)
        self.folder = server.story.folder("spire-agent-" + name)
        os.chmod(self.folder, 0o755)
        self.socket, self._path = os.path.join(self.folder, "api.sock"), os.path.join(self.folder, "agent.conf")
        super().__init__(server.story, server.host, "spire-agent-" + name,
                         [os.path.join(server.programs, "spire-agent"), "run", "-config", self._path])

    def start(self):
        """Again with its data, if it has any."""
        if not self.process:
            self._write_settings()
        self.launch()
        return self

    def _write_settings(self):
        token = json.loads(self.server.run("token", "generate", "-spiffeID", self.id, "-output", "json").stdout)["value"]
        roots = os.path.join(self.folder, "roots.pem")
        with open(roots, "w") as file:
            file.write(self.server.run("bundle", "show").stdout)
        with open(self._path, "w") as file:
            file.write("""agent {
  data_dir = "%s" log_level = "DEBUG" server_address = "127.0.0.1" server_port = "%d" socket_path = "%s"
  trust_bundle_path = "%s" trust_domain = "%s" join_token = "%s"
  experimental { sync_interval = "1s" }
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "disk" { plugin_data { directory = "%s" } }
  WorkloadAttestor "unix" { plugin_data {} }
}
""" % (self.folder, API, self.socket, roots, self.server.trust_domain, token, self.folder))
