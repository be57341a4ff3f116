"""Redis Cluster, whose nodes learn addresses from their connections, forms in mode tproxy without a setting for it.

    one, two, three: [sidecar, mode tproxy, strict] -> redis-server --cluster-enabled yes"""

import pwd
import os

from handfast_harness import Process, expect, expect_eq, strict_mesh, wait_until

DEADLINE_S = 120
NODES = ("one", "two", "three")


def _node(story, name):
    host, folder, user = story.mesh.net.hosts[name], story.folder("redis-" + name), pwd.getpwnam("redis")
    os.chown(folder, user.pw_uid, user.pw_gid)
    node = story.own(Process(host, "redis-" + name, [
        "redis-server", "--port", 6379, "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--dir", folder,
        "--cluster-enabled", "yes", "--cluster-node-timeout", "5000"], story.log_path("redis-" + name),
        uid=user.pw_uid, gid=user.pw_gid))
    return node.wait_for_port(6379)


def arrange(story):
    story.mesh = strict_mesh(story, hosts=NODES, tproxy=NODES)
    for name in NODES:
        _node(story, name)


def _ask(story, name, *words):
    return story.mesh.net.hosts[name].run(["redis-cli", "-c", *words], uid=1000).stdout


def shows_that_the_cluster_forms_and_each_node_has_its_own_address(story):
    hosts = story.mesh.net.hosts
    own = ["%s:6379" % hosts[name].ipv4 for name in NODES]
    done = hosts["one"].run(["redis-cli", "--cluster", "create", *own, "--cluster-yes"], uid=1000, timeout_s=60)
    expect("All 16384 slots covered" in done.stdout, "the cluster did not form: " + done.stdout)
    for name in NODES:
        wait_until("%s to see the cluster" % name, lambda: "cluster_state:ok" in _ask(story, name, "cluster", "info"), 20)
        listed = {line.split()[1].partition("@")[0] for line in _ask(story, name, "cluster", "nodes").splitlines()}
        expect_eq(listed, set(own), "the nodes as %s lists them" % name)


def shows_that_keys_are_found_on_every_node(story):
    for number in range(20):
        expect_eq(_ask(story, "one", "set", "key%d" % number, str(number)).strip(), "OK", "the answer to SET")
    for number in range(20):
        expect_eq(_ask(story, "three", "get", "key%d" % number).strip(), str(number), "the answer to GET")
    for sidecar in story.mesh.sidecars.values():
        expect(sidecar.access_log(direction="inbound", encrypted=True), "no connection of the cluster came in a tunnel")
