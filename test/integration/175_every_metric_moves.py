"""Each metric of the sidecar and of the control plane is there with its help, and moves when its thing happens.

Rows: O7, O3.

    control --- client: [sidecar] ==tunnel==> server: [sidecar] -> echo; stranger (plaintext, both ways)"""

import pathlib
import re
import time

from handfast_harness import Mesh, StreamServer, expect, expect_eq, wait_until
from handfast_harness import stream

# Metrics that this story lets move, by whose page they are on.
CLIENT = ("handfast_attestations_total", "handfast_build_info", "handfast_connect_duration_seconds_count", "handfast_connections_active",
          "handfast_connections_closed_total", "handfast_connections_opened_total", "handfast_control_plane_connected",
          "handfast_discovery_answers_total", "handfast_identity_expiry_timestamp_seconds", "handfast_identity_oldest_in_use_seconds",
          "handfast_identity_renewals_total", "handfast_identity_runway_seconds", "handfast_plaintext_accepted_total",
          "handfast_received_bytes_total", "handfast_sent_bytes_total", "handfast_streams_total",
          "handfast_trust_root_expiry_timestamp_seconds", "handfast_tunnel_handshake_duration_seconds_count", "handfast_tunnels_open",
          "handfast_tunnels_opened_total", "istio_tcp_connections_closed_total", "istio_tcp_connections_opened_total",
          "istio_tcp_received_bytes_total", "istio_tcp_sent_bytes_total", "process_cpu_seconds_total", "process_max_fds",
          "process_open_fds", "process_resident_memory_bytes", "process_start_time_seconds")
CONTROL = ("handfast_build_info", "handfast_control_attestations_total", "handfast_control_certificate_expiry_timestamp_seconds",
           "handfast_control_claims_total", "handfast_control_connections", "handfast_control_connections_max",
           "handfast_control_join_tokens_total", "handfast_control_ready", "handfast_control_reloads_refused_total",
           "handfast_control_renewals_total", "handfast_control_server_certificate_expiry_timestamp_seconds",
           "handfast_control_streams", "handfast_control_svids_issued_total", "handfast_control_trust_epoch",
           "process_cpu_seconds_total", "process_max_fds", "process_open_fds", "process_resident_memory_bytes",
           "process_start_time_seconds")
# Metrics that another story lets move, or a test that sees the symbol where no story can make it happen.
ELSEWHERE = {
    "handfast_access_log_lost_lines": "170_a_reader_of_the_log_stops.py",
    "handfast_access_log_suppressed_lines": "164_logs_of_strangers.py",
    "handfast_connections_full": "160_a_stranger_with_many_connections.py",
    "handfast_control_accept_pauses_total": "150_out_of_descriptors.py",
    "handfast_control_addresses_outside_mesh_total": "102_a_family_that_the_mesh_does_not_cover.py",
    "handfast_control_client_certificates_refused_total": "141_the_store_is_lost_or_goes_back.py",
    "handfast_control_connections_refused_total": "150_out_of_descriptors.py",
    "handfast_control_handshakes_failed_total": "180_foreign_tls_peers.py",
    "handfast_control_log_lost_lines": "170_a_reader_of_the_log_stops.py",
    "handfast_control_log_suppressed_lines": "164_logs_of_strangers.py",
    "handfast_control_plane_failures_total": "173_the_control_plane_does_not_listen.py",
    "handfast_family_outside_mesh": "102_a_family_that_the_mesh_does_not_cover.py",
    "handfast_limit_refusals_total": "160_a_stranger_with_many_connections.py",
    "handfast_listener_pauses_total": "163_few_descriptors.py",
    "handfast_log_lost_lines": "170_a_reader_of_the_log_stops.py",
    "handfast_tunnels_failed_total": "180_foreign_tls_peers.py",
}
NOT_SEEN_IN_A_STORY = {  # what the lint metrics_are_set holds alone
    "handfast_control_calls_refused_total", "handfast_control_changes_limited_total", "handfast_control_clock_set_total",
    "handfast_control_connections_deferred_total", "handfast_control_trust_refused_total", "handfast_handshake_failures_total",
    "handfast_listeners_paused",
}


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="10s", outsiders=("stranger",), policy={"default_mode": "permissive"})
    for host in (story.mesh.server, story.mesh.stranger):
        story.own(StreamServer(story, host, 9000, "echo"))
    story.mesh.control.reload({"mesh": {"plain": [story.mesh.stranger.ipv4 + "/32"]}})
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


def finding_o7_every_name_has_a_help_sentence_and_a_place_where_it_moves(story):
    known = {re.sub("_count$", "", name) for name in CLIENT + CONTROL} | set(ELSEWHERE) | NOT_SEEN_IN_A_STORY
    control = story.mesh.control
    every = set()
    for text in (_text(story.mesh.client, "127.0.0.1", 15020), _text(control.host, control.host.ipv4, 15014)):
        names = _names(text)
        every |= names
        expect_eq(sorted(names - known), [], "names that no story looks at")
        helps = dict(re.findall(r"^# HELP (\w+) (.*)$", text, re.M))
        expect_eq([name for name in sorted(names) if not helps.get(name, "").endswith(".")], [], "names without a sentence")
    expect_eq(sorted(known - every), [], "names that no page has")
    for name, place in ELSEWHERE.items():
        text = (pathlib.Path(__file__).parent / place).read_text()
        expect(name in text, "%s is not in %s" % (name, place))


def finding_o7_the_sidecars_metrics_move(story):
    mesh = story.mesh
    _echo(mesh.client, mesh.server)
    _echo(mesh.stranger, mesh.server)
    _echo(mesh.client, mesh.stranger)
    with mesh.client.connect(mesh.server.ipv4, 9000, uid=1000) as live:
        live.sendall(b"bytes that are counted while the connection lives")
        _wait_for(story.client.metrics, CLIENT)
    rows = story.server.metrics()
    for direction in ("inbound", "inbound_plain"):
        expect(rows['handfast_connect_duration_seconds_count{direction="%s"}' % direction] > 0, "no duration %s" % direction)
    expect(rows['handfast_tunnel_handshake_duration_seconds_count{direction="inbound"}'] > 0, "no handshake inbound")


def _wait_for(metrics, names):
    def still():
        rows = metrics()
        return [name for name in names if _sum(rows, name) <= 0]
    wait_until("all to move (last: %s)" % still(), lambda: not still(), 20, 0.2)


def finding_o7_the_control_planes_metrics_move(story):
    control = story.mesh.control
    good = dict(control.settings)
    control.reload({"mesh": {"networks": ["not-a-network"]}})
    control.process.wait_for_log("not-a-network")
    _wait_for(control.metrics, CONTROL)
    control.settings = good
    control.configure()


def finding_o7_the_histograms_add_up(story):
    rows = story.client.metrics()
    for name in ("handfast_connect_duration_seconds", "handfast_tunnel_handshake_duration_seconds"):
        labels = 'direction="outbound"'
        buckets = [value for row, value in rows.items() if row.startswith(name + "_bucket{" + labels)]
        expect(len(buckets) == 13 and buckets == sorted(buckets), "buckets of %s: %s" % (name, buckets))
        expect_eq(buckets[-1], rows[name + "_count{" + labels + "}"], "the last bucket of " + name)
        expect(0 <= rows[name + "_sum{" + labels + "}"] < 60, "sum of " + name)


def finding_o7_the_process_is_as_the_kernel_sees_it(story):
    for process, rows in ((story.client.process, story.client.metrics()),
                          (story.mesh.control.process, story.mesh.control.metrics())):
        expect(abs(rows["process_open_fds"] - process.num_fds()) <= 8, "descriptors")
        expect(abs(rows["process_resident_memory_bytes"] / 1024 - process.rss_kb()) < 8192, "resident memory")
        expect(abs(rows["process_cpu_seconds_total"] - process.cpu_s()) < 2, "time used")
        expect(0 <= time.time() - rows["process_start_time_seconds"] < 300, "the start")


def finding_o7_expiry_is_a_time(story):
    rows = story.client.metrics()
    left = rows["handfast_identity_expiry_timestamp_seconds"] - time.time()
    expect(0 < left <= 11, "the identity has %.1f s left" % left)
    expect(abs(left - rows["handfast_identity_runway_seconds"]) < 6, "runway and expiry")
    root = story.mesh.control.metrics()['handfast_control_certificate_expiry_timestamp_seconds{certificate="root"}']
    expect_eq(rows["handfast_trust_root_expiry_timestamp_seconds"], root, "the root's end, seen from both sides")
