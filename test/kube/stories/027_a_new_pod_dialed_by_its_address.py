"""An address is dialed without a pause from before its pod exists: what gets there is never plaintext if the pod is meshed.

    shop -> the next addresses of the pods' network, by their number -> new-1, new-2, new-3 (injected), plain (not injected)
    captured: the bridge that joins all pods; `mesh.networks` is empty"""

import ipaddress
import threading

from handfast_harness import Capture, expect, expect_eq
from kube_cluster import shop, workloads
from kube_cluster.http_load import GREETING

DEADLINE_S = 480
SPACE, OUTSIDE = "at-once", "at-once-plain"
PORT, TUNNEL, NEW = 8080, 15008, ("new-1", "new-2", "new-3")
AHEAD = 8  # addresses; the plugin gives the next one that is free
REQUEST = b"GET /dialed-by-its-address HTTP/1.1\r\nHost: new\r\nConnection: close\r\n\r\n"


class Dialer(threading.Thread):
    """Calls one address until it is stopped, each time as soon as the last call has failed or was answered."""

    def __init__(self, network, address):
        super().__init__(daemon=True)
        self._network, self.address, self._ended = network, address, threading.Event()
        self.num_calls, self.num_answers = 0, 0

    def run(self):
        while not self._ended.is_set():
            self.num_calls += 1
            try:
                with self._network.connect(self.address, PORT, uid=1000, timeout_s=8) as sock:
                    self.num_answers += GREETING in _ask(sock)
            except OSError:
                pass  # refused, or no answer in time
            self._ended.wait(0.01)

    def stop(self):
        self._ended.set()
        self.join(20)


def _ask(sock):
    sock.sendall(REQUEST)
    received = b""
    while data := sock.recv(4096):
        received += data
    return received


def arrange(story):
    shop.arrange(story, SPACE, stores=1)
    story.kubectl.apply(workloads.namespace(OUTSIDE))
    story.kubectl.apply(workloads.pod("plain"), namespace=OUTSIDE)
    story.plain, = story.kubectl.wait_for_ready("app=plain", 1, OUTSIDE)


def _packets_to(story, addresses, port):
    """What the shop sent there."""
    return [packet for packet in story.wire.packets() if packet.source == story.network.ipv4 and
            packet.destination in addresses and packet.destination_port == port]


def shows_that_a_pod_without_a_sidecar_is_reached_in_plaintext(story):
    """So the capture sees what it looks for."""
    address = story.plain["status"]["podIP"]
    with Capture(story, story.cluster.machine.network(), "cni0") as story.wire:
        with story.network.connect(address, PORT, uid=1000, timeout_s=10) as sock:
            expect(GREETING in _ask(sock), "the plain pod answered")
    expect(any(REQUEST == packet.payload for packet in _packets_to(story, {address}, PORT)), "the request crossed the bridge")


def shows_that_nothing_reaches_a_new_pod_in_plaintext(story):
    last = ipaddress.ip_address(story.plain["status"]["podIP"])
    dialers = [Dialer(story.network, str(last + number)) for number in range(1, AHEAD + 1)]
    with Capture(story, story.cluster.machine.network(), "cni0") as story.wire:
        for dialer in dialers:
            dialer.start()
        story.kubectl.wait("calls to every address", lambda: all(one.num_calls for one in dialers))
        story.kubectl.apply(*(workloads.pod(name, account="store") for name in NEW), namespace=SPACE)
        pods = [story.kubectl.wait_for_ready("app=" + name, 1, SPACE)[0] for name in NEW]
        addresses = {pod["status"]["podIP"] for pod in pods}
        expect(addresses <= {one.address for one in dialers}, "%s were dialed before there was a pod" % addresses)
        reached = [one for one in dialers if one.address in addresses]
        story.kubectl.wait("an answer of every new pod", lambda: all(one.num_answers for one in reached))
        for dialer in dialers:
            dialer.stop()
    print("      %s calls" % ", ".join("%d of %d" % (one.num_answers, one.num_calls) for one in reached))
    expect_eq(_packets_to(story, addresses, PORT), [], "packets to new pods that are not of a tunnel, the first SYN included")
    expect(_packets_to(story, addresses, TUNNEL), "the calls went through tunnels")
    story.kubectl.delete_namespace(SPACE)
    story.kubectl.delete_namespace(OUTSIDE)
