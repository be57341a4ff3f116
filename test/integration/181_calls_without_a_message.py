"""A unary call without a message, or with two, is answered at once by the real control plane.

Rows: T8.

    peer: python3-h2 over TLS --> control plane 15012"""

import time

from handfast_harness import Mesh, expect, expect_eq
from peers import enrollment

ATTEST = "/handfast.v1.Enrollment/Attest"
SERVER_DEADLINE_S = 5.0


def arrange(story):
    story.mesh = Mesh(story, hosts=(), outsiders=("peer",))


def _call(story, body, more=()):
    """(headers of the answer, seconds until it was complete)"""
    address = story.mesh.net.control.ipv4
    with enrollment.Enrollment(story.mesh.peer, address, timeout_s=2 * SERVER_DEADLINE_S) as control:
        started = time.monotonic()
        stream = control.request(ATTEST, body, more=more)
        return stream.headers, time.monotonic() - started


def finding_t8_a_call_without_a_message_is_answered_at_once(story):
    headers, took_s = _call(story, b"")
    expect_eq(headers.get("grpc-status"), "12", "UNIMPLEMENTED")
    expect("none was received" in headers.get("grpc-message", ""), "the answer does not name what is missing: %s" % headers)
    expect(took_s < SERVER_DEADLINE_S / 2, "it waited for the deadline: %.1f s" % took_s)


def finding_t8_the_answer_to_a_compressed_call_names_the_supported_encoding(story):
    headers, took_s = _call(story, b"\1\0\0\0\1x", more=[("grpc-encoding", "gzip")])
    expect_eq(headers.get("grpc-status"), "12", "UNIMPLEMENTED")
    expect_eq(headers.get("grpc-accept-encoding"), "identity", "the supported encoding")
    expect(took_s < SERVER_DEADLINE_S / 2, "it waited for the deadline: %.1f s" % took_s)
