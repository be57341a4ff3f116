"""Strangers that fill the control plane with connections delay no sidecar's enrollment beyond a bound.

    stranger: silent connections, and ClientHellos that end there --> control (15012)
    client: [sidecar] --enrolls within 5 s--> control

Rows: I14, L3."""

from OpenSSL import SSL

from handfast_harness import Mesh, expect, wait_until
from handfast_harness import fairness
from peers import flood, tls

STREAMS = 15012
BOUND_S = 5.0
WAITING = "handfast_control_connections_waiting"
DEADLINE_S = 300


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), outsiders=("stranger",), leaf_ttl="1h",
                      control={"limits": {"max_connections": 400}}, start=False)
    story.mesh.start_control()
    story.sidecar = story.mesh.start_sidecar("client")


def _client_hello(sign=True):
    """By OpenSSL, with a key share; with the sign of a client that waits, which any client can send."""
    context = tls.context()
    context.set_alpn_protos([b"h2"] + ([b"handfast-waits"] if sign else []))
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        return connection.bio_read(65536)
    raise AssertionError("a handshake without a peer")


def _enrolls_beside(story, attack, is_there):
    with fairness.Attack(attack):
        wait_until("the strangers", is_there, 20, 0.1)
        for _ in range(3):
            story.sidecar.restart(deadline_s=BOUND_S)
        metrics = story.mesh.control.metrics()
    wait_until("the end of it", lambda: story.mesh.control.metrics()[WAITING] == 0, 20, 0.2)
    return metrics


def finding_l3_silent_connections_take_no_turn(story):
    control = story.mesh.control
    attack = flood.connections(story.mesh.stranger, control.host.ipv4, STREAMS, per_second=300, most=20_000)
    _enrolls_beside(story, attack, lambda: control.metrics()[WAITING] > 200)


def finding_i14_a_source_with_thousands_of_hellos_has_one_turn_among_others(story):
    """The strangers' handshakes never end: each takes its place among those under way for as long as it may."""
    control = story.mesh.control
    attack = flood.connections(story.mesh.stranger, control.host.ipv4, STREAMS, per_second=300, most=20_000,
                               first=_client_hello())
    metrics = _enrolls_beside(story, attack, lambda: control.metrics()[WAITING] > 200)
    expect(metrics['handfast_control_connections_refused_total{limit="handshakes"}'] > 0, "no stuck handshake gave way")
