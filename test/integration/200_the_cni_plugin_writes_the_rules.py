"""The CNI plugin writes the rules of pods with a sidecar when their network is made, and fails closed without its agent.

    node: agent, API server (stand-in)
    web, plain, seen, late: pods on it --- router --- server

The story takes the container runtime's place: it starts the plugin with the environment and the input that containerd
gives it."""

import json
import os

from handfast_harness import StreamServer, expect, expect_eq, expect_in, wait_until
from handfast_harness import stream
from handfast_harness.interception import METRICS
from handfast_harness.sidecar import Sidecar
from peers.kube_api import KubeApi, pod

DEADLINE_S = 240
NODE = "node-1"
DAEMON_SETS = "/apis/apps/v1/namespaces/handfast-cni/daemonsets"
DAEMON_SET = DAEMON_SETS + "/handfast-cni"
CHAINED = ["bridge", "portmap", "handfast-cni"]
BEFORE = {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "mac": "02:00:00:00:00:01"}],
          "ips": [{"address": "192.0.2.9/24", "interface": 0}]}


def arrange(story):
    story.net = story.topology("node", "web", "plain", "seen", "late", "server")
    story.server = story.own(StreamServer(story, story.net.server, 9000, "echo"))
    story.api = story.own(KubeApi(story.net.node, story.folder("api")))
    story.socket = os.path.join(story.folder("run"), "agent.sock")
    story.conf, story.bin = story.folder("net.d"), story.folder("plugins")
    story.list = os.path.join(story.conf, "10-net.conflist")
    _write_list(story)
    _put_daemon_set(story)
    story.plugin, story.init = story.binary("handfast-cni"), story.binary("handfast-init")
    _start_agent(story)


def _put_daemon_set(story):
    story.api.objects[DAEMON_SET] = {"metadata": {"namespace": "handfast-cni", "name": "handfast-cni"}}
    story.api.put(story.api.objects[DAEMON_SET], DAEMON_SETS)


def _write_list(story):
    """As a network plugin does that installs itself: beside it, then renamed."""
    with open(story.list + ".tmp", "w") as file:
        json.dump({"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "bridge"}, {"type": "portmap"}]}, file)
    os.rename(story.list + ".tmp", story.list)


def _chained(story):
    with open(story.list) as file:
        return [one["type"] for one in json.load(file)["plugins"]]


def _start_agent(story):
    story.agent = story.spawn(story.net.node, "agent", [
        story.plugin, "agent", "--node-name", NODE, "--kubeconfig", story.api.kubeconfig, "--socket", story.socket,
        "--init-program", story.init, "--conf-dir", story.conf, "--bin-dir", story.bin])
    story.agent.wait_for_http("http://127.0.0.1:15024/healthz/ready")


def _run(story, command, host, name, uid, config=None, **environment):
    """What the runtime does: (exit code, standard output as JSON or None)."""
    config = {"cniVersion": "1.0.0", "name": "net", "type": "handfast-cni", "socket": story.socket,
              "prevResult": BEFORE, **(config or {})}
    done = story.net.node.run(
        [story.plugin], check=False, input=json.dumps(config), timeout_s=60,
        env={"CNI_COMMAND": command, "CNI_CONTAINERID": "c-" + name, "CNI_NETNS": "/run/netns/" + host.netns,
             "CNI_IFNAME": "eth0", "CNI_PATH": "/opt/cni/bin", "PATH": os.environ["PATH"],
             "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=%s;K8S_POD_INFRA_CONTAINER_ID=c-%s;"
                         "K8S_POD_UID=%s" % (name, name, uid), **environment})
    expect_eq(done.stderr, "", "standard error of the plugin")
    return done.returncode, json.loads(done.stdout) if done.stdout else None


def _injected(name, uid, **annotations):
    return pod("shop", name, uid, NODE, init=("handfast",), annotations={
        "handfast.dev/injected": "true", **{"handfast.dev/" + key.replace("_", "-"): value
                                            for key, value in annotations.items()}})


def _rules(host):
    return host.run(["nft", "list", "ruleset"]).stdout


def _can_reach_server(story, host):
    try:
        with host.connect(story.net.server.ipv4, 9000, uid=1000, timeout_s=10.0) as sock:
            return stream.exchange(sock, b"hello") == (b"hello", "fin")
    except OSError:
        return False


def shows_that_the_plugin_lists_its_versions(story):
    code, answer = _run(story, "VERSION", story.net.web, "web", "u1")
    expect_eq(code, 0, "exit code")
    expect_in("1.0.0", answer["supportedVersions"], "versions")


def shows_that_the_agent_installs_the_plugin_and_chains_it(story):
    installed = os.path.join(story.bin, "handfast-cni")
    with open(installed, "rb") as one, open(story.plugin, "rb") as other:
        expect(one.read() == other.read(), "the plugin is the program itself")
    expect_eq(oct(os.stat(installed).st_mode & 0o777), "0o755", "its mode")
    expect_eq(_chained(story), CHAINED, "plugins of the network")
    expect_eq(sorted(os.listdir(story.conf)), ["10-net.conflist"], "files beside it")


def shows_that_the_entry_comes_back_when_another_tool_rewrites_the_file(story):
    _write_list(story)
    wait_until("the entry is back", lambda: _chained(story) == CHAINED)


def shows_that_a_node_without_a_network_is_not_ready_and_gives_the_reason(story):
    os.unlink(story.list)
    story.agent.wait_for_http("http://127.0.0.1:15024/healthz/ready", status=503)
    text = story.net.node.http("http://127.0.0.1:15024/healthz/ready")[1].decode()
    expect_in("has none; expected: a network configuration", text, "the reason")
    _write_list(story)
    story.agent.wait_for_http("http://127.0.0.1:15024/healthz/ready")
    expect_eq(_chained(story), CHAINED, "plugins of the network")


def shows_that_the_agent_watches_the_pods_of_its_node_alone(story):
    expect(any("fieldSelector=spec.nodeName%3Dnode-1" in path for path in story.api.paths),
           "the agent asked for %s" % story.api.paths)


def shows_that_a_pod_without_a_sidecar_passes(story):
    story.api.put(pod("shop", "plain", "u0", NODE))
    expect_eq(_run(story, "ADD", story.net.plain, "plain", "u0"), (0, BEFORE), "ADD")
    expect_eq(_rules(story.net.plain), "", "rules")
    expect(_can_reach_server(story, story.net.plain), "the pod reaches the server")


def shows_that_a_pod_with_a_sidecar_gets_its_rules(story):
    expect(_can_reach_server(story, story.net.web), "without rules the pod reaches the server")
    story.api.put(_injected("web", "u1", exclude_outbound_ports="9100, 9101"))
    expect_eq(_run(story, "ADD", story.net.web, "web", "u1"), (0, BEFORE), "ADD")
    expect_in("{ 9100, 9101 }", _rules(story.net.web), "rules")
    expect(not _can_reach_server(story, story.net.web), "nothing leaves before the sidecar listens")
    story.net.web.run([story.init, "check"])


def shows_that_the_rules_are_of_the_mode_of_the_pods_sidecar(story):
    """Which is the sidecar's own setting: an annotation may be the namespace's, or be changed while the pod runs."""
    one = _injected("seen", "u9", interception="redirect")
    one["spec"]["initContainers"][0]["env"] = [{"name": "HANDFAST_SIDECAR_INTERCEPTION", "value": "tproxy"}]
    story.api.put(one)
    for _ in range(2):
        expect_eq(_run(story, "ADD", story.net.seen, "seen", "u9"), (0, BEFORE), "ADD")
        expect_in("chain reroute {", _rules(story.net.seen), "rules")
        expect_eq(story.net.seen.run(["ip", "rule"]).stdout.count("fwmark 0x539"), 1, "routing rules")
    expect("chain reroute" not in _rules(story.net.web), "the other pod has rules of this mode")
    expect_eq(_run(story, "CHECK", story.net.seen, "seen", "u9"), (0, None), "CHECK")
    story.net.seen.ip("rule del fwmark 1337 lookup 1337")
    code, answer = _run(story, "CHECK", story.net.seen, "seen", "u9")
    expect_eq((code, answer["code"]), (1, 100), "CHECK without the routing rule")
    expect_in("in a caller's name", answer["msg"], "the reason")


def shows_that_a_second_time_and_a_check_change_nothing(story):
    before = story.net.web.run(["nft", "-s", "list", "ruleset"]).stdout
    expect_eq(_run(story, "ADD", story.net.web, "web", "u1"), (0, BEFORE), "ADD")
    expect_eq(_run(story, "CHECK", story.net.web, "web", "u1"), (0, None), "CHECK")
    expect_eq(story.net.web.run(["nft", "-s", "list", "ruleset"]).stdout, before, "rules")


def shows_that_a_check_finds_rules_that_were_removed(story):
    story.net.web.run([story.init, "down"])
    code, answer = _run(story, "CHECK", story.net.web, "web", "u1")
    expect_eq((code, answer["code"]), (1, 100), "exit code and error code")
    expect_in("handfast-init", answer["msg"], "the reason")
    expect_eq(_rules(story.net.web), "", "rules: a check writes none")
    expect_eq(_run(story, "ADD", story.net.web, "web", "u1")[0], 0, "ADD")


def shows_that_a_deletion_never_fails(story):
    before = _rules(story.net.web)
    expect_eq(_run(story, "DEL", story.net.web, "web", "u1", {"cniVersion": "9.9.9"}), (0, None), "DEL of another version")
    expect_eq(_run(story, "GC", story.net.web, "web", "u1", {"cniVersion": "0.1.0"}), (0, None), "GC of another version")
    expect_eq(_run(story, "DEL", story.net.web, "web", "u1"), (0, None), "DEL")
    expect_eq(_run(story, "DEL", story.net.web, "web", "u1", CNI_NETNS=""), (0, None), "DEL without a namespace")
    expect_eq(_run(story, "DEL", story.net.web, "web", "u1", CNI_NETNS="/run/netns/gone"), (0, None), "DEL of one that is gone")
    expect_eq(_rules(story.net.web).count("table"), before.count("table"), "the namespace keeps its rules until its end")


def shows_that_another_pod_of_the_same_name_waits_until_it_is_known(story):
    code, answer = _run(story, "ADD", story.net.plain, "web", "u2")
    expect_eq((code, answer["code"]), (1, 11), "exit code and error code")
    expect_in("uid u2", answer["msg"], "the reason")
    story.api.delete("shop", "web")
    story.api.put(_injected("web", "u2"))
    expect_eq(_run(story, "ADD", story.net.plain, "web", "u2"), (0, BEFORE), "ADD once it is known")
    expect_in("redirect to :15001", _rules(story.net.plain), "rules")


def shows_that_what_is_known_answers_while_the_api_server_is_away(story):
    story.api.close()
    story.agent.wait_for_log("the node's pods are not up to date")
    expect_eq(_run(story, "ADD", story.net.plain, "web", "u2"), (0, BEFORE), "ADD")
    story.api.open()
    story.agent.wait_for_log("up to date again", deadline_s=40)


def shows_that_more_pods_than_it_can_know_make_it_unready(story):
    for number in range(4097):
        story.api.put(pod("crowd", "p%d" % number, "u", NODE))
    story.agent.wait_for_http("http://127.0.0.1:15024/healthz/ready", status=503, deadline_s=40)
    text = story.net.node.http("http://127.0.0.1:15024/healthz/ready")[1].decode()
    expect_in("pods: more than 4096 on this node", text, "the reason")
    for number in range(4097):
        story.api.delete("crowd", "p%d" % number)
    story.agent.stop()
    _start_agent(story)


def shows_that_strangers_may_not_ask(story):
    done = story.net.node.run(["/usr/bin/python3", "-c", "import socket; socket.socket(socket.AF_UNIX).connect(%r)" % story.socket],
                              uid=1000, check=False)
    expect_in("PermissionError", done.stderr, "connecting as another user")


def shows_that_without_its_agent_a_pod_is_tried_again_later(story):
    story.agent.stop()
    expect_eq(_chained(story), CHAINED, "plugins after a restart of the DaemonSet's pod")
    code, answer = _run(story, "ADD", story.net.web, "web", "u2")
    expect_eq((code, answer["code"]), (1, 11), "exit code and error code")
    expect_in("DaemonSet handfast-cni", answer["details"], "the fix")
    excluded = {"exclude_namespaces": ["kube-system", "shop"]}
    expect_eq(_run(story, "ADD", story.net.web, "web", "u2", excluded), (0, BEFORE), "ADD in an excluded namespace")
    expect_eq(_run(story, "DEL", story.net.web, "web", "u2"), (0, None), "DEL")
    newest = {"cniVersion": "1.1.0", "prevResult": {**BEFORE, "cniVersion": "1.1.0"}}
    expect_eq(_run(story, "STATUS", story.net.web, "web", "u2", newest), (0, None),
              "STATUS, whose failure would make the node NotReady and evict pods that have their rules")
    code, answer = _run(story, "STATUS", story.net.web, "web", "u2", {"cniVersion": "9.0.0"})
    expect_eq((code, answer["code"]), (1, 1), "STATUS of an unknown version")
    _start_agent(story)
    expect_eq(_run(story, "ADD", story.net.web, "web", "u2"), (0, BEFORE), "ADD with the agent again")


def shows_that_a_refusal_is_no_uninstall(story):
    """A token that has expired, an account whose permission is missing: pods would start without rules."""
    for status in ("401", "403"):
        story.api.refusals[DAEMON_SET] = status
        story.agent.stop()
        expect_eq(_chained(story), CHAINED, "plugins after an end with %s" % status)
        story.agent.wait_for_log("it is not known whether the DaemonSet is gone")
        _start_agent(story)


def shows_that_an_uninstall_that_takes_the_account_first_removes_the_plugin(story):
    """As `kubectl delete -f` does: permissions end first, and the open watch still has the deletion."""
    story.api.delete("handfast-cni", "handfast-cni", DAEMON_SETS)
    story.agent.wait_for_log("the DaemonSet is deleted")
    story.agent.stop()
    expect_eq((_chained(story), os.listdir(story.bin)), (["bridge", "portmap"], []), "what is left")


def shows_that_an_uninstall_removes_the_plugin_from_the_node(story):
    story.api.refusals.clear()
    _put_daemon_set(story)
    _start_agent(story)
    del story.api.objects[DAEMON_SET]
    story.agent.stop()
    expect_eq((_chained(story), os.listdir(story.bin)), (["bridge", "portmap"], []), "what is left")


def shows_that_the_command_removes_it_too_and_twice_is_no_error(story):
    _start_agent(story)
    expect_eq(_chained(story), CHAINED, "plugins of the network")
    story.agent.kill()
    for _ in range(2):
        story.net.node.run([story.plugin, "uninstall", "--conf-dir", story.conf, "--bin-dir", story.bin])
        expect_eq((_chained(story), os.listdir(story.bin)), (["bridge", "portmap"], []), "what is left")


def shows_that_a_sidecar_without_rules_is_not_ready_and_names_the_reason(story):
    """A pod that started before the agent was on its node."""
    sidecar = Sidecar(story, story.net.late, "spiffe://cluster.local/ns/shop/sa/late", "192.0.2.1:15012", None, {
        "identity": {"token_file": None, "kubernetes_token_file": "/nowhere/token", "claim_address": False},
        "control": {"bootstrap_root_sha256": "0" * 64}})
    sidecar.launch().wait_for_port(METRICS)
    status, text = sidecar.probe()
    expect_eq(status, 503, "readiness")
    expect_in("no interception rules: 169.254.15.6 is not on lo", text, "the reason")
    sidecar.process.stop()
    _start_agent(story)
    story.api.put(_injected("late", "u3"))
    expect_eq(_run(story, "ADD", story.net.late, "late", "u3"), (0, BEFORE), "ADD")
    sidecar.launch().wait_for_port(METRICS)
    expect("no interception rules" not in sidecar.probe()[1], "rules are there now")
