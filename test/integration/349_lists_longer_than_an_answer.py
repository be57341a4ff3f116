"""Lists that are longer than one answer of the control plane: the commands give the totals and how many rows are
left out, as text and as JSON. The records are made in etcd, beside the real ones.

    etcd1 ---- control --- router --- client, server [sidecar]"""

import base64
import http.client
import json
import re
import ssl

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, identity_of, needs, stream, wait_until
from handfast_harness.etcd import CLIENT, Etcd

DEADLINE_S = 400
ROWS_MAX, MORE = 20000, 7
PREFIX, PUTS = "/handfast/", 128  # of one transaction of etcd


def arrange(story):
    mesh = story.mesh = Mesh(story, hosts=("client", "server"), outsiders=("etcd1",), leaf_ttl="1h", start=False)
    story.etcd = Etcd(story, [mesh.net.hosts["etcd1"]]).start()
    story.control = mesh.control
    story.control.configure({"store": story.etcd.settings()})
    mesh.start()
    story.own(StreamServer(story, mesh.server, 9000, "echo"))
    story.control.token(identity_of("later"))


def _json(story, *words):
    return json.loads(story.control.run(*words, "--output", "json").stdout)


class _Gateway:
    """etcd's JSON interface, as the operator's certificate."""

    def __init__(self, story):
        member, pki = story.etcd.members[0], story.etcd.pki
        context = ssl.create_default_context(cafile=pki.path("ca.crt"))
        context.load_cert_chain(pki.path("operator.crt"), pki.path("operator.key"))
        self._connection = http.client.HTTPSConnection(member.host.ipv4, CLIENT, context=context, timeout=20)
        self._connection.sock = context.wrap_socket(member.host.connect(member.host.ipv4, CLIENT, timeout_s=20),
                                                    server_hostname=member.host.ipv4)

    def call(self, method, body):
        self._connection.request("POST", "/v3/kv/" + method, json.dumps(body))
        answer = self._connection.getresponse()
        text = answer.read()
        expect_eq(answer.status, 200, "etcd's answer: %s" % text[:200])
        return json.loads(text)

    def values(self, prefix):
        key = (PREFIX + prefix).encode()
        found = self.call("range", {"key": _text(key), "range_end": _text(key[:-1] + bytes((key[-1] + 1,)))})
        return [(base64.b64decode(one["key"]), base64.b64decode(one["value"])) for one in found["kvs"]]

    def put(self, rows):
        for at in range(0, len(rows), PUTS):
            self.call("txn", {"success": [{"requestPut": {"key": _text(key), "value": _text(value)}}
                                          for key, value in rows[at:at + PUTS]]})


def _text(value):
    return base64.b64encode(value).decode()


def _copies(gateway, prefix, digits, num):
    """A record that the control plane wrote, under so many other keys, which sort before it; one that names its own key
    names the other one."""
    key, value = gateway.values(prefix)[0]
    own, rows = key[len(PREFIX + prefix):], []
    for i in range(num):
        other = b"%0*x" % (digits, i)
        rows.append((key.replace(own, other), value.replace(b"key=" + own, b"key=" + other)))
    return rows


def shows_that_status_counts_the_sidecars_that_it_leaves_out(story):
    gateway = _Gateway(story)
    gateway.put(_copies(gateway, "holder/", 64, ROWS_MAX + MORE))
    wanted = ROWS_MAX + MORE + 2
    status = wait_until("the records at the control plane", lambda: (lambda found: found if found["num_svid_holders"] == wanted else None)(
        _json(story, "status")), 60, 1)
    expect_eq(len(status["svid_holders"]), ROWS_MAX, "rows")
    expect_eq((status["num_left_out"], status["num_connected"]), (MORE + 2, 2), "left out, connected")
    lines = story.control.run("status").stdout.splitlines()
    expect_in("%d attested sidecars, 2 connected" % wanted, lines, "the text")
    expect_eq(lines[-1], "%d further attested sidecars are not shown: one answer has no more rows" % (MORE + 2), "its last line")


@needs(shows_that_status_counts_the_sidecars_that_it_leaves_out)
def shows_that_one_that_is_upgraded_counts_once(story):
    """Its two processes have a stream each, and its record has no row."""
    with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000) as live:
        live.sendall(b"hello")
        expect_eq(stream.receive_exactly(live, 5), b"hello", "echo")
        num_streams = _json(story, "status")["streams"]
        before = story.mesh.sidecar("client").upgrade()
        status = wait_until("both streams", lambda: (lambda found: found if found["streams"] > num_streams else None)(
            _json(story, "status")), 20, 0.5)
        expect_eq(before.exit_code, None, "exit code of the process that was upgraded")
        expect_eq((status["num_svid_holders"], status["num_connected"]), (ROWS_MAX + MORE + 2, 2), "sidecars, connected")


def shows_that_a_list_of_tokens_counts_what_it_leaves_out(story):
    gateway = _Gateway(story)
    present = len(_json(story, "token", "list")["tokens"])
    gateway.put(_copies(gateway, "token/", 32, ROWS_MAX + MORE))
    wait_until("the records at the control plane", lambda: _json(story, "token", "list")["num_left_out"] == MORE + present, 60, 1)
    expect_eq(len(_json(story, "token", "list")["tokens"]), ROWS_MAX, "rows")
    last = story.control.run("token", "list").stdout.splitlines()[-1]
    expect_eq(last, "%d further join tokens are not shown: one answer has no more rows" % (MORE + present), "its last line")


def shows_that_short_lists_leave_nothing_out(story):
    expect_eq(_json(story, "ban", "list"), {"bans": [], "num_left_out": 0}, "bans")
    expect("further" not in story.control.run("ban", "list").stdout, "the text of bans")


def shows_that_why_counts_what_has_given_way(story):
    """A sidecar keeps 256 failures, and counts those that gave way."""
    client = story.mesh.sidecar("client")
    expect_eq(client.admin("/why")["num_left_out"], 0, "before")
    for port in range(10001, 10301):  # nothing listens there
        stream.attempt(client.host, story.mesh.server.ipv4, port, b"x", timeout_s=10)
    wait_until("failures that gave way", lambda: client.admin("/why")["num_left_out"] >= 30, 30, 0.5)
    text = client.host.run([story.binary("handfast"), "why"]).stdout
    expect(re.search(r"\d+ earlier failures have given way to these; the log has them\n$", text), "the text: %s" % text[-300:])
