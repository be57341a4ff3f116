"""Each metric of the sidecar and of the control plane has a help sentence, and changes when its event happens.

Rows: O7, O3.

    control --- client: [sidecar] ==tunnel==> server: [sidecar] -> echo; stranger (plaintext, both ways)"""

import contextlib
import pathlib
import re
import time

from handfast_harness import Mesh, StreamServer, expect, expect_eq, identity_of, needs, wait_until
from handfast_harness import stream
from handfast_harness.certificates import Identity
from peers.enrollment import Enrollment, Refused, field, fields, new_key, read_token

DEADLINE_S = 150
IDENTITY = "/handfast.v1.Identity/Stream"
HELLO, CLAIM, RELEASE = field(1, field(1, 1) + field(3, b"peer")), field(4, b""), field(5, b"")

# Metrics that change in this story, by the page that has them.
CLIENT = ("handfast_attestations_total", "handfast_build_info", "handfast_connect_duration_seconds_count", "handfast_connections_active",
          "handfast_connections_closed_total", "handfast_connections_opened_total", "handfast_control_plane_connected",
          "handfast_discovery_answers_total", "handfast_identity_expiry_timestamp_seconds", "handfast_identity_oldest_in_use_seconds",
          "handfast_identity_renewals_total", "handfast_plaintext_accepted_total", "handfast_received_bytes_total",
          "handfast_sent_bytes_total", "handfast_streams_total",
          "handfast_root_expiry_timestamp_seconds", "handfast_tunnel_handshake_duration_seconds_count", "handfast_tunnels_open",
          "handfast_tunnels_opened_total", "istio_tcp_connections_closed_total", "istio_tcp_connections_opened_total",
          "istio_tcp_received_bytes_total", "istio_tcp_sent_bytes_total", "process_cpu_seconds_total", "process_max_fds",
          "process_open_fds", "process_resident_memory_bytes", "process_start_time_seconds")
CONTROL = ("handfast_build_info", "handfast_control_attestations_total", "handfast_control_intermediate_expiry_timestamp_seconds",
           "handfast_control_claims_total", "handfast_control_connections", "handfast_control_connections_max",
           "handfast_control_join_tokens_total", "handfast_control_ready", "handfast_control_reloads_refused_total",
           "handfast_control_renewals_total", "handfast_control_server_certificate_expiry_timestamp_seconds",
           "handfast_control_streams", "handfast_control_svids_issued_total", "handfast_control_trust_epoch",
           "process_cpu_seconds_total", "process_max_fds", "process_open_fds", "process_resident_memory_bytes",
           "process_start_time_seconds")
REFUSALS = ("handfast_control_calls_refused_total", "handfast_control_changes_limited_total", "handfast_control_trust_refused_total")
NOT_SEEN = {  # checked by no story and no test, but by the lint metrics_are_set alone
    "handfast_control_clock_set_total", "handfast_control_connections_deferred_total",
    "handfast_listeners_paused",
}
ROOT = pathlib.Path(__file__).resolve().parents[2]


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="10s", outsiders=("stranger",), policy={"default_mode": "permissive"})
    for host in (story.mesh.server, story.mesh.stranger):
        story.own(StreamServer(story, host, 9000, "echo"))
    story.mesh.control.reload({"mesh": {"plaintext_networks": [story.mesh.stranger.ipv4 + "/32"]}})
    story.client, story.server = story.mesh.sidecar("client"), story.mesh.sidecar("server")


def _echo(host, to, data=b"hello"):
    with host.connect(to.ipv4, 9000, uid=1000) as sock:
        sock.sendall(data)
        expect_eq(stream.receive_exactly(sock, len(data)), data, "echo")


def _text(host, address, port):
    return host.http("http://%s:%d/metrics" % (address, port))[1].decode()


def _names(text):
    return set(re.findall(r"^# TYPE (\w+) ", text, re.M))


def _sum(rows, name):
    return sum(value for row, value in rows.items() if row.partition("{")[0] == name)


def _symbols():
    """{name: its symbols}, of both tables."""
    symbols = {}
    for table in ("sidecar/report/metrics.def", "control/report/metrics.def"):
        for symbol, name in re.findall(r'^METRIC(?:_DURATION)?\((\w+),(?: METRIC_\w+,)? "(\w+)"', (ROOT / table).read_text(), re.M):
            symbols.setdefault(name, []).append(symbol)
    return symbols


def _is_checked(name, symbols, stories, tests):
    return (name in {re.sub("_count$", "", moved) for moved in CLIENT + CONTROL + REFUSALS} or name in stories or
            any(re.search(r"\b%s\b" % symbol, tests) for symbol in symbols.get(name, ())))


def finding_o7_every_metric_has_a_help_sentence_and_a_test(story):
    control, symbols = story.mesh.control, _symbols()
    stories = "".join(path.read_text() for path in ROOT.glob("test/integration/*.py") if path.name != pathlib.Path(__file__).name)
    tests = "".join(path.read_text() for folder in ("sidecar", "control") for path in ROOT.glob(folder + "/**/*_test.c"))
    for text in (_text(story.mesh.client, "127.0.0.1", 15020), _text(control.host, control.host.ipv4, 15014)):
        names = _names(text)
        unseen = sorted(name for name in names if not _is_checked(name, symbols, stories, tests))
        expect_eq([name for name in unseen if name not in NOT_SEEN], [], "names that no story and no test checks")
        helps = dict(re.findall(r"^# HELP (\w+) (.*)$", text, re.M))
        expect_eq([name for name in sorted(names) if not helps.get(name, "").endswith(".")], [], "names without a sentence")


def finding_o7_the_sidecars_metrics_change(story):
    mesh = story.mesh
    _echo(mesh.client, mesh.server)
    _echo(mesh.stranger, mesh.server)
    _echo(mesh.client, mesh.stranger)
    with mesh.client.connect(mesh.server.ipv4, 9000, uid=1000) as live:
        live.sendall(b"bytes that are counted while the connection is open")
        _wait_for(story.client.metrics, CLIENT)
    rows = story.server.metrics()
    for direction in ("inbound", "inbound_plain"):
        expect(rows['handfast_connect_duration_seconds_count{direction="%s"}' % direction] > 0, "no duration %s" % direction)
    expect(rows['handfast_tunnel_handshake_duration_seconds_count{direction="inbound"}'] > 0, "no handshake inbound")


def _wait_for(metrics, names):
    def still():
        rows = metrics()
        return [name for name in names if _sum(rows, name) <= 0]
    wait_until("all to change (last: %s)" % still(), lambda: not still(), 20, 0.2)


def finding_o7_the_control_planes_metrics_change(story):
    control = story.mesh.control
    good = dict(control.settings)
    control.reload({"mesh": {"networks": ["not-a-network"]}})
    control.process.wait_for_log("not-a-network")
    _wait_for(control.metrics, CONTROL)
    control.settings = good
    control.configure()


def _to_control(story, leaf=None):
    return Enrollment(story.mesh.stranger, story.mesh.control.host.ipv4, leaf)


def finding_o7_refusals_of_the_control_plane_are_counted(story):
    with _to_control(story) as control:  # without a certificate
        control.call(IDENTITY, HELLO)
    token, leaf_key = read_token(story.mesh.control.token(identity_of("odd"))), new_key()
    with _to_control(story) as control:
        leaf = Identity(leaf_key, control.attest(token, leaf_key=leaf_key).chain)
    epoch = story.client.admin("/certs")["epoch"]
    refused = field(3, field(1, field(1, int(epoch["incarnation"], 16)) + field(2, epoch["counter"])) + field(2, b"a test"))
    for messages in ([HELLO, refused], [HELLO] + [CLAIM, RELEASE] * 100):
        with _to_control(story, leaf) as control, contextlib.suppress(Refused, OSError):
            control.talk(IDENTITY, messages, lambda down: 1 in dict(fields(down)) and len(messages) == 2)
    _wait_for(story.mesh.control.metrics, REFUSALS)


@needs(finding_o7_the_sidecars_metrics_change)
def finding_o7_the_histograms_add_up(story):
    rows = story.client.metrics()
    for name in ("handfast_connect_duration_seconds", "handfast_tunnel_handshake_duration_seconds"):
        labels = 'direction="outbound"'
        buckets = [value for row, value in rows.items() if row.startswith(name + "_bucket{" + labels)]
        expect(len(buckets) == 13 and buckets == sorted(buckets), "buckets of %s: %s" % (name, buckets))
        expect_eq(buckets[-1], rows[name + "_count{" + labels + "}"], "the last bucket of " + name)
        expect(0 <= rows[name + "_sum{" + labels + "}"] < 60, "sum of " + name)


def finding_o7_process_metrics_match_the_kernel(story):
    for process, rows in ((story.client.process, story.client.metrics()),
                          (story.mesh.control.process, story.mesh.control.metrics())):
        expect(abs(rows["process_open_fds"] - process.num_fds()) <= 8, "descriptors")
        expect(abs(rows["process_resident_memory_bytes"] / 1024 - process.rss_kb()) < 8192, "resident memory")
        expect(abs(rows["process_cpu_seconds_total"] - process.cpu_s()) < 2, "time used")
        expect(0 <= time.time() - rows["process_start_time_seconds"] < 300, "the start")


@needs(finding_o7_the_sidecars_metrics_change)
def finding_o7_expiry_is_a_time(story):
    rows = story.client.metrics()
    left = rows["handfast_identity_expiry_timestamp_seconds"] - time.time()
    expect(0 < left <= 11, "the identity has %.1f s left" % left)
    control = story.mesh.control.metrics()
    expect_eq(rows["handfast_root_expiry_timestamp_seconds"], control["handfast_control_root_expiry_timestamp_seconds"],
              "the root's expiry on both pages")
    expect(control["handfast_control_intermediate_expiry_timestamp_seconds"] > time.time(), "the intermediate has expired")
