"""What an API server, or what pretends to be one, sends to the command line is bounded, and each fault is named.

    handfast (in host) --(HTTP/2; WebSocket for a port of a pod)--> stand-in of the API server (in server)"""

import base64
import hashlib
import json
import re

from handfast_harness import expect, expect_eq, expect_in
from peers.kube_api import KubeApi

DEADLINE_S = 120
POD = "/api/v1/namespaces/shop/pods/web"
PAGE = b'{"failures":[]}'
PORT = b"\x98\x3a"  # 15000


def arrange(story):
    story.net = story.topology("host", "server")
    story.api = story.own(KubeApi(story.net.server, story.folder("api")))
    story.api.objects[POD] = {
        "metadata": {"namespace": "shop", "name": "web"}, "spec": {"initContainers": [{"name": "handfast"}]},
        "status": {"initContainerStatuses": [{"name": "handfast", "state": {"running": {}}}]}}


def _run(story, *words):
    done = story.net.host.run([story.binary("handfast"), *words, "--kubeconfig", story.api.kubeconfig, "--output", "json"],
                              check=False, timeout_s=60)
    return done.returncode, done.stdout, done.stderr


def _why(story, answer):
    """handfast why of the pod, whose upgrade is answered so. (exit code, page or failure)"""
    story.api.on_upgrade = answer
    code, stdout, stderr = _run(story, "why", "pod/web", "-n", "shop")
    return code, json.loads(stdout if code == 0 else stderr or stdout)


def _failure(story, answer, part, codes=(1, 69)):
    got_code, failure = _why(story, answer)
    expect_in(part, failure["got"], "the reason")
    expect(failure["expected"] and failure["fix"], "a clause is missing: %s" % failure)
    expect(got_code in codes, "the exit code of '%s' is %d" % (failure["got"], got_code))


def _accept(head):
    key = re.search(r"Sec-WebSocket-Key: (\S+)", head)[1]
    proof = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    return ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
            "Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n" % base64.b64encode(proof).decode()).encode()


def _frame(payload, first=0x82):
    size = len(payload)
    head = bytes((first, size)) if size < 126 else bytes((first, 126)) + size.to_bytes(2, "big") \
        if size < 65536 else bytes((first, 127)) + size.to_bytes(8, "big")
    return head + payload


def _opened(*frames):
    """An answer that upgrades, then sends these frames."""
    def answer(head, sock):
        sock.sendall(_accept(head) + _frame(b"\x00" + PORT) + _frame(b"\x01" + PORT))
        sock.sendall(b"".join(frames))
    return answer


def _fixed(answer):
    return lambda head, sock: sock.sendall(answer)


def _http(body):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def shows_a_page_however_it_is_cut(story):
    whole = b"\x00" + _http(PAGE)
    asked = []

    def pieces(head, sock):
        asked.append(head)
        _opened(_frame(b"ping", 0x89), _frame(whole[:9], 0x02), _frame(b"pong?", 0x89), _frame(whole[9:], 0x80))(head, sock)
    expect_eq(_why(story, pieces), (0, {"failures": []}), "the page")
    expect_in("GET /api/v1/namespaces/shop/pods/web/portforward?ports=15000 HTTP/1.1\r\n", asked[0], "the request")
    expect_in("\r\nAuthorization: Bearer stand-in\r\n", asked[0], "the request")
    no_length = b"\x00HTTP/1.1 200 OK\r\n\r\n" + PAGE
    expect_eq(_why(story, _opened(_frame(no_length), _frame(b"\x03\xe8", 0x88))), (0, {"failures": []}), "until the end")


def shows_that_what_is_no_upgrade_is_refused(story):
    for answer in (b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 2x0 OK\r\n\r\n", b"x" * 100000):
        _failure(story, _fixed(answer), "its answer is not HTTP")
    _failure(story, lambda head, sock: None, "it closed the connection")
    _failure(story, _fixed(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n"), "another protocol than WebSocket")
    for before, after in ((b"v4.channel", b"v5.channel"), (b"Accept: ", b"Accept: A"), (b"Upgrade: websocket", b"Upgrade: h2c")):
        _failure(story, lambda head, sock, b=before, a=after: sock.sendall(_accept(head).replace(b, a)), "another protocol")


def shows_what_the_server_answers_in_place_of_an_upgrade(story):
    status = json.dumps({"kind": "Status", "message": "pods \"web\" is forbidden", "reason": "Forbidden", "code": 403}).encode()
    _failure(story, _fixed(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n" % len(status) + status),
             "may not forward a port to pods of namespace shop", (77,))
    _failure(story, _fixed(b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno!\r\n0\r\n\r\n"), "500")


def shows_that_frames_are_bounded_and_judged(story):
    _failure(story, _opened(bytes((0x82, 0x81))), "masked")
    _failure(story, _opened(bytes((0x82, 127)) + (1 << 40).to_bytes(8, "big")), "bytes", (65,))
    _failure(story, _opened(bytes((0xc2, 0))), "extension")


def shows_that_a_page_is_bounded(story):
    part = b"\x00" + b"x" * 60000
    endless = [_frame(b"\x00HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")] + [_frame(part)] * 80
    _failure(story, _opened(*endless), "does not answer /why as a sidecar does")
    _failure(story, _opened(_frame(b"\x00" + _http(b"[not json"))), "does not answer /why as a sidecar does")


def shows_the_reason_of_the_node_without_its_control_characters(story):
    _failure(story, _opened(_frame(b"\x01no \x1b[31mport\n")), "pod shop/web: no \\x1b[31mport")


def shows_that_a_list_without_an_end_is_refused(story):
    story.api.objects["/version"] = {"major": "1", "minor": "37", "gitVersion": "v1.37.0"}
    story.api.objects["/api/v1/namespaces"] = {"items": [], "metadata": {"continue": "more"}}
    code, stdout, _ = _run(story, "check", "--uninstall")
    expect_eq(code, 1, "the exit code")
    rows = [row["got"] for row in json.loads(stdout)["findings"] if row["check"] == "namespaces"]
    expect_in("has no end after 2000 pages", rows[0], "the row")
