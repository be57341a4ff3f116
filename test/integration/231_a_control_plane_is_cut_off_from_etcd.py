"""A control plane that reaches its sidecars but not etcd is not ready after 10 s and sends them to the others, which renew
their certificates in time; it takes them again when etcd answers. With all three cut off nothing is lost: sidecars that
have been at all of them are served from memory. No call fails.

    etcd1, etcd2, etcd3 --X-- control, control2, control3      X: cut, at one of them, then at all
                                       |
          client: keep-alive clients and new connections -> [sidecar] ==tunnels==> [sidecar] server"""

import time

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, identity_of, needs_earlier, wait_until
from handfast_harness.control_plane import METRICS
from handfast_harness.control_planes import another_control_plane, carry_keys, start_sidecars
from handfast_harness.etcd import Etcd
from handfast_harness.load import Load

DEADLINE_S = 600
MEMBERS = ("etcd1", "etcd2", "etcd3")
SERVICE = "203.0.113.250"
CUT_OFF_S = 10
PRESENT_S = 35  # then a control plane whose record does not change is gone for the others (control/registry/replicas.c)
SENT_AWAY = "handfast_control_sent_away_total"


def arrange(story):
    mesh = story.mesh = Mesh(story, hosts=("client", "server"), outsiders=("control2", "control3") + MEMBERS, leaf_ttl="12s",
                             start=False, services=[{"name": "echo", "address": SERVICE, "ports": [{"port": 9000}],
                                                     "identity": identity_of("server")}])
    story.etcd = Etcd(story, [mesh.net.hosts[name] for name in MEMBERS]).start()
    mesh.control.configure({"store": story.etcd.settings(), "mesh": {"claim_grace": "3s"}})
    story.controls = [mesh.control]
    mesh.control.start()
    wait_until("the keys", lambda: mesh.control.run("status", check=False).returncode == 0, 30)
    for name in ("control2", "control3"):
        other = another_control_plane(mesh.control, mesh.net.hosts[name])
        carry_keys(mesh.control, other)
        story.controls.append(other)
        other.start()
    start_sidecars(mesh, story.controls, ("client", "server"))
    story.own(StreamServer(story, mesh.server, 9000, "echo"))
    story.cut = None  # the control plane of the first function


def _load(story):
    return Load(story.mesh.client, SERVICE, 9000, num_clients=4, new_per_second=10)


def _cut_from_etcd(story, control):
    """Both directions, without an answer; all else stays."""
    members = ", ".join(member.host.ipv4 for member in story.etcd.members)
    control.host.run(["nft", "add table inet cut; add chain inet cut in { type filter hook input priority -300; }; "
                      "add chain inet cut out { type filter hook output priority -300; }; "
                      "add rule inet cut in ip saddr { %s } drop; add rule inet cut out ip daddr { %s } drop" % (members, members)])


def _join(control):
    control.host.run(["nft", "delete table inet cut"])


def _streams(control):
    return control.metrics()["handfast_control_streams"]


def _ready(control):
    status, body = control.host.http("http://%s:%d/healthz/ready" % (control.host.ipv4, METRICS))
    return status, body.decode()


def _expect_renewals(story):
    serials = {name: sidecar.serial() for name, sidecar in story.mesh.sidecars.items()}
    for name, sidecar in story.mesh.sidecars.items():
        sidecar.wait_for_rotation(serials[name], deadline_s=8 + 2)  # 66 % of 12 s, and what a change of the server may take


def shows_that_its_sidecars_go_to_the_others(story):
    """The time from the end of its last stream to the last stream at another one, and that renewals go on."""
    cut = story.cut = max(story.controls, key=_streams)
    others = [control for control in story.controls if control is not cut]
    num = _streams(cut)
    expect(num > 0, "no sidecar is there")
    with _load(story) as load:
        load.wait_for_requests(50)
        began = time.monotonic()
        _cut_from_etcd(story, cut)
        wait_until("its streams to end", lambda: _streams(cut) == 0, CUT_OFF_S + 10, 0.05)
        ended = time.monotonic()
        expect(ended - began >= CUT_OFF_S - 1, "the streams have ended after %.1f s" % (ended - began))
        wait_until("them at the others", lambda: sum(map(_streams, others)) == 2, 3, 0.05)
        took = time.monotonic() - ended
        print("sent away %.1f s after the cut, at another control plane %.2f s later" % (ended - began, took))
        expect(took < 2, "the sidecars are at another control plane after %.1f s" % took)
        _expect_renewals(story)
        load.wait_for_requests(50)
    expect_eq(load.failures, [], "failures")
    expect_eq(cut.metrics()[SENT_AWAY], num, "sidecars sent away")
    expect_eq(sum(control.metrics()[SENT_AWAY] for control in others), 0, "sidecars sent away by the others")


@needs_earlier
def shows_that_it_is_reported(story):
    cut = story.cut
    status, text = _ready(cut)
    expect_eq(status, 503, "readiness: " + text)
    expect_in("the store has not answered for", text, "the readiness page")
    expect_in("cut off from the store: not ready, and sidecars are sent to other control planes", cut.log(), "its log")
    rows = cut.metrics()
    expect(rows["handfast_control_store_silent_seconds"] >= CUT_OFF_S, "the metric of its silence")
    expect_eq(rows["handfast_control_ready"], 0, "the metric of readiness")
    for control in story.controls:
        if control is not cut:
            expect_eq(_ready(control)[0], 200, "readiness of %s: %s" % (control.name, _ready(control)[1]))
            wait_until("%s to have an answer" % control.name,  # it asks twice per second, and on a busy machine waits for more than one
                       lambda control=control: control.metrics()["handfast_control_store_silent_seconds"] == 0, 10)


@needs_earlier
def shows_that_it_takes_sidecars_again_when_etcd_answers(story):
    _join(story.cut)
    wait_until("it to be ready", lambda: _ready(story.cut)[0] == 200, 20)
    story.cut.process.wait_for_log("the store answers again: sidecars are taken as before")
    before = story.cut.metrics()[SENT_AWAY]
    others = [control for control in story.controls if control is not story.cut]
    with _load(story) as load:
        for control in others:
            control.stop()
        wait_until("both there", lambda: _streams(story.cut) == 2, 15)
        _expect_renewals(story)
        for control in others:
            control.start()
    expect_eq(load.failures, [], "failures")
    expect_eq(story.cut.metrics()[SENT_AWAY], before, "sidecars sent away")


def shows_that_with_all_cut_off_nothing_is_lost(story):
    """For longer than a control plane counts as present: endpoints stay answers, certificates are renewed."""
    for control in story.controls:  # none remembers a sidecar that it has sent away
        control.restart()
    wait_until("both streams", lambda: sum(map(_streams, story.controls)) == 2, 15, 0.2)
    with _load(story) as load:
        load.wait_for_requests(50)
        began = time.monotonic()
        for control in story.controls:
            _cut_from_etcd(story, control)
        for control in story.controls:
            wait_until("%s to be not ready" % control.name, lambda control=control: _ready(control)[0] == 503, CUT_OFF_S + 10)
        wait_until("both streams", lambda: sum(map(_streams, story.controls)) == 2, 15, 0.2)
        settled = time.monotonic() - began
        while time.monotonic() - began < PRESENT_S + 15:
            _expect_renewals(story)
            load.wait_for_requests(50)
        wait_until("both streams at the end", lambda: sum(map(_streams, story.controls)) == 2, 10)
        sent = {control.name: control.metrics()[SENT_AWAY] for control in story.controls}
        for sidecar in story.mesh.sidecars.values():
            expect_in("this control plane is cut off from the store; try another one", sidecar.process.log(), "its log")
        print("both streams settled %.1f s after the cut; sent away: %s" % (settled, sent))
        expect(sum(sent.values()) >= 2, "sidecars sent away: %s" % sent)
        expect(max(sent.values()) <= 2, "each control plane sends each sidecar away once: %s" % sent)
    expect_eq(load.failures, [], "failures")


@needs_earlier
def shows_that_a_sidecar_that_was_sent_away_is_served_by_any(story):
    """It comes back, so no other control plane takes it: with a new process and with one address, too."""
    client = story.mesh.sidecar("client")
    addresses = client.settings["control"]["address"]
    for control in story.controls:
        client.stop()
        before = control.metrics()[SENT_AWAY]
        client.configure({"control": {"address": [control.address]}})
        client.start()
        wait_until("its stream", lambda control=control: _streams(control) >= 1, 15)
        sent = control.metrics()[SENT_AWAY] - before
        expect_eq(sent, 0, "times that %s sends it away again" % control.name)
    client.wait_for_rotation(deadline_s=8 + 2)
    client.stop()
    client.configure({"control": {"address": addresses}})
    client.start()


@needs_earlier
def shows_that_all_are_back_when_etcd_is(story):
    with _load(story) as load:
        for control in story.controls:
            _join(control)
        for control in story.controls:
            wait_until("%s to be ready" % control.name, lambda control=control: _ready(control)[0] == 200, 20)
            control.process.wait_for_log("the store answers again")
        wait_until("a change at each", lambda: all(control.run(
            "token", "create", "--id", identity_of("x"), check=False).returncode == 0 for control in story.controls), 20)
        _expect_renewals(story)
    expect_eq(load.failures, [], "failures")
