"""on_path: an attacker between the pods who reads, alters, replays and splices learns and changes nothing.

    client: [sidecar] === router: a relay that can read and change every tunnel === server: [sidecar] -> programs"""

from handfast_harness import Capture, Mesh, StreamServer, expect, expect_eq, needs, wait_until
from handfast_harness import stream
from peers.on_path import OnPath

DEADLINE_S = 120
MARKER = b"the-application's-secret-marker"
DATA = MARKER + stream.pattern(2_000_000)


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h")
    story.hash = story.own(StreamServer(story, story.mesh.server, 9000, "hash"))
    story.own(StreamServer(story, story.mesh.server, 9001, "source", num_bytes=2_000_000, seed=9))
    story.relay = story.own(OnPath(story.mesh.net.router, "to-client", 15008))


def _cut(story):
    """Closes every tunnel, so that the next connection makes a new one."""
    story.relay.cut()
    wait_until("the old tunnels to be closed", lambda: story.mesh.sidecar("client").metric(
        'handfast_tunnels_open{direction="outbound"}') == 0)


def _send(story):
    """One connection that sends DATA: (answer, end)."""
    with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000, timeout_s=10) as sock:
        received, ended = stream.exchange(sock, DATA)
    return received.strip().decode(), ended


def _flip_after(num_bytes, wanted):
    """Flips one bit of the byte at that offset in that direction."""
    passed = {"up": 0, "down": 0}

    def change(way, data):
        at = num_bytes - passed[way]
        passed[way] += len(data)
        if way == wanted and 0 <= at < len(data):
            return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
        return data
    return change


def shows_that_captured_traffic_reveals_nothing(story):
    expect_eq(_send(story), (stream.sha256(DATA), "fin"), "the answer through the relay")
    expect_eq(len(story.relay.recorded), 1, "tunnels that the relay saw")
    record = story.relay.recorded[0]
    expect(len(record["up"]) > len(DATA), "the relay saw only %d bytes" % len(record["up"]))
    for part in (MARKER, b":authority", b"9000", b"spiffe://"):
        expect(part not in record["up"] + record["down"], "the relay could read %r" % part)


@needs(shows_that_captured_traffic_reveals_nothing)
def shows_that_altered_bytes_are_not_delivered(story):
    _cut(story)
    story.relay.change = _flip_after(1_000_000, "up")
    expect_eq(_send(story)[1], "reset", "the end of the client's connection")
    report = story.hash.wait_for_report(1)
    expect_eq((report["ended"], report["received_sha256"]), ("reset", stream.sha256(DATA[:report["received"]])),
              "the server received a prefix of the bytes sent")


def shows_that_an_altered_answer_is_not_delivered(story):
    _cut(story)
    story.relay.change = _flip_after(1_000_000, "down")
    with story.mesh.client.connect(story.mesh.server.ipv4, 9001, uid=1000) as sock:
        received, ended = stream.receive_all(sock)
    expect_eq(ended, "reset", "the end of the client's connection")
    expect(len(received) < 2_000_000 and stream.pattern(2_000_000, 9).startswith(received), "altered bytes arrived")


def shows_that_an_altered_handshake_makes_no_tunnel(story):
    for at in (20, 200, 600):
        _cut(story)
        story.relay.change = _flip_after(at, "down")
        expect_eq(stream.attempt(story.mesh.client, story.mesh.server.ipv4, 9000, MARKER), (b"", "reset"),
                  "a connection whose handshake was altered at byte %d" % at)


def shows_that_a_replay_reaches_no_application(story):
    _cut(story)
    story.relay.change = lambda way, data: data
    num = len(story.hash.reports()) + 1
    expect_eq(_send(story)[1], "fin", "a good connection afterwards")
    story.hash.wait_for_report(num - 1)  # it comes after the end of the connection
    with story.mesh.net.router.connect(story.mesh.server.ipv4, 15008) as sock:
        try:
            sock.sendall(story.relay.recorded[0]["up"])
        except (ConnectionResetError, BrokenPipeError):
            pass
        answer = stream.receive_all(sock)[0]
    expect(len(answer) < 8192, "the replay was answered with %d bytes" % len(answer))
    expect_eq(len(story.hash.reports()), num, "connections that the application saw")


@needs(shows_that_captured_traffic_reveals_nothing)
def shows_that_records_of_another_tunnel_cannot_be_spliced_in(story):
    _cut(story)
    other = story.relay.recorded[0]["up"]
    inserted = []

    def splice(way, data):
        if way == "up" and len(data) > 10_000 and not inserted:
            inserted.append(True)
            return other[-20_000:] + data
        return data
    story.relay.change = splice
    expect_eq(_send(story)[1], "reset", "the end of the client's connection")
    expect_eq(inserted, [True], "spliced records")


def shows_that_cutting_tunnels_never_leads_to_plaintext(story):
    story.relay.change = lambda way, data: None
    _cut(story)
    with Capture(story, story.mesh.net.router, "to-client") as wire:
        for _ in range(5):
            expect_eq(stream.attempt(story.mesh.client, story.mesh.server.ipv4, 9000, MARKER), (b"", "reset"),
                      "a connection whose tunnel is broken")
    expect(not wire.contains(MARKER) and 9000 not in wire.ports(), "bytes left in plaintext")
    story.relay.change = lambda way, data: data
    wait_until("a good connection again", lambda: _send(story)[1] == "fin")
