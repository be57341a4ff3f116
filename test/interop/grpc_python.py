#!/usr/bin/python3
"""Handfast's gRPC against grpcio's: a Python client with the C server, and the C client with a Python server, over
plain TCP and over mutual TLS. Debian's grpcio supports P-256 and no other group.

usage: bazel build //test/interop/... && test/interop/grpc_python.py
"""

import concurrent.futures
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

import grpc
from cryptography.hazmat.primitives import serialization

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test/harness"))
from handfast_harness import TestAuthority, wait_until  # noqa: E402 (the path must be set first)

PROGRAMS = pathlib.Path(os.environ.get("HANDFAST_BIN", ROOT / "bazel-bin"))
LARGE = 3 * 1024 * 1024
LIMIT = [("grpc.max_receive_message_length", 8 * 1024 * 1024), ("grpc.max_send_message_length", 8 * 1024 * 1024)]


def expect_status(call, status, text=None):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == status, f"expected {status}, got {error.code()}: {error.details()}"
        assert text is None or error.details() == text, f"expected {text!r}, got {error.details()!r}"
        return
    raise AssertionError(f"expected {status}, got OK")


class Tls:
    """One authority, an identity in a folder for the C program, and one for Python's. grpcio checks DNS names alone."""

    def __init__(self):
        self.authority = TestAuthority("cluster.local")
        self.folder = tempfile.TemporaryDirectory()
        ours = self.identity("ours")
        der = serialization.Encoding.DER
        files = {"root": self.authority.root.public_bytes(der), "leaf": ours.chain[0].public_bytes(der),
                 "issuer": ours.chain[1].public_bytes(der),
                 "key": ours.key.private_bytes(der, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())}
        for name, content in files.items():
            (pathlib.Path(self.folder.name) / name).write_bytes(content)

    def identity(self, name):
        return self.authority.leaf("spiffe://cluster.local/ns/interop/sa/" + name, dns_names=["localhost"])

    def channel(self, port, identity):
        credentials = grpc.ssl_channel_credentials(self.authority.root_pem, identity.key_pem, identity.chain_pem)
        return grpc.secure_channel(f"127.0.0.1:{port}", credentials,
                                   options=LIMIT + [("grpc.ssl_target_name_override", "localhost")])

    def server_credentials(self):
        identity = self.identity("python")
        return grpc.ssl_server_credentials([(identity.key_pem, identity.chain_pem)], self.authority.root_pem,
                                           require_client_auth=True)


class OurServer:
    """Each method whose name starts with `case_` is one case."""

    def __init__(self, tls):
        self.tls = tls
        self.process = subprocess.Popen([PROGRAMS / "test/interop/echo_server", *([tls.folder.name] if tls else [])],
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.channel = (tls.channel(self.port, tls.identity("python")) if tls
                        else grpc.insecure_channel(f"127.0.0.1:{self.port}", options=LIMIT))

    def close(self):
        self.channel.close()
        self.process.terminate()
        assert self.process.wait(timeout=60) == 0, "the server did not end cleanly"
        self.process.stdout.close()

    def unary(self, method, message=b"", **options):
        return self.channel.unary_unary(f"/interop.Echo/{method}")(message, timeout=options.pop("timeout", 60), **options)

    def stream(self, method, messages, timeout=60):
        return self.channel.stream_stream(f"/interop.Echo/{method}")(messages, timeout=timeout)

    def case_unary(self):
        assert self.unary("Echo", b"hello") == b"hello"

    def case_empty_message(self):
        assert self.unary("Echo", b"") == b""

    def case_large_message(self):
        message = os.urandom(LARGE)
        assert self.unary("Echo", message) == message

    def case_message_over_the_limit(self):
        expect_status(lambda: self.unary("Echo", bytes(5 * 1024 * 1024)), grpc.StatusCode.RESOURCE_EXHAUSTED)

    def case_bidirectional_stream(self):
        messages = [str(i).encode() * (i % 50) for i in range(2000)]
        assert list(self.stream("Echo", iter(messages))) == messages

    def case_turns_on_one_stream(self):
        turn = threading.Semaphore(1)

        def questions():
            for i in range(50):
                turn.acquire()
                yield str(i).encode()

        num = 0
        for answer in self.stream("Echo", questions()):
            assert answer == str(num).encode()
            num += 1
            turn.release()
        assert num == 50

    def case_server_stream(self):
        answers = list(self.channel.unary_stream("/interop.Echo/Count")(b"300 20000", timeout=60))
        assert [len(answer) for answer in answers] == [20000] * 300

    def case_status_and_message(self):
        expect_status(lambda: self.unary("Fail", "5 nicht gefünden: 100%\n".encode()), grpc.StatusCode.NOT_FOUND,
                      "nicht gefünden: 100%\n")

    def case_every_status(self):
        for code in grpc.StatusCode:
            if code != grpc.StatusCode.OK:
                expect_status(lambda: self.unary("Fail", f"{code.value[0]} x".encode()), code, "x")

    def case_unknown_method(self):
        expect_status(lambda: self.unary("Nothing"), grpc.StatusCode.UNIMPLEMENTED)

    def case_not_authorized(self):
        expect_status(lambda: self.unary("Denied", b"x"), grpc.StatusCode.PERMISSION_DENIED, "this call is denied")

    def case_compressed_messages(self):
        expect_status(lambda: self.unary("Echo", bytes(10000), compression=grpc.Compression.Gzip),
                      grpc.StatusCode.UNIMPLEMENTED)

    def case_deadline(self):
        """Of 0.5 s: the server never answers. It counts the call's end, also for the cases that follow."""
        before = int(self.unary("Ended"))
        start = time.monotonic()
        expect_status(lambda: self.unary("Silent", timeout=0.5), grpc.StatusCode.DEADLINE_EXCEEDED)
        assert time.monotonic() - start < 20
        wait_until("the server to see the end of the call", lambda: int(self.unary("Ended")) > before, 30)

    def case_cancel_reaches_the_server(self):
        before = int(self.unary("Ended"))
        never = threading.Event()

        def one_then_wait():
            yield b"x"
            never.wait()

        call = self.stream("Echo", one_then_wait())
        assert next(call) == b"x"
        call.cancel()
        never.set()
        wait_until("the server to see the end of the call", lambda: int(self.unary("Ended")) > before, 30)
        assert int(self.unary("Ended")) == before + 1

    def case_hundreds_of_calls_at_once(self):
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(lambda i: self.unary("Echo", str(i).encode()), range(500)))
        assert answers == [str(i).encode() for i in range(500)]

    def case_finding_t2_a_failed_handshake_is_reported(self):
        if self.tls is None:
            return
        stranger = TestAuthority("cluster.local").leaf("spiffe://cluster.local/ns/interop/sa/stranger")
        with self.tls.channel(self.port, stranger) as channel:
            expect_status(lambda: channel.unary_unary("/interop.Echo/Echo")(b"x", timeout=10),
                          grpc.StatusCode.UNAVAILABLE)
        line = self.process.stdout.readline()
        assert line.startswith("handshake failed: "), f"expected the server to report it, got {line!r}"

    def case_drain_lets_a_call_end(self):  # the last case: the server accepts no connections after it
        go_on = threading.Event()

        def slowly():
            yield b"before"
            go_on.wait()
            yield b"after"

        call = self.stream("Echo", slowly())
        assert next(call) == b"before"
        self.process.send_signal(signal.SIGUSR1)
        while (line := self.process.stdout.readline()).startswith("handshake failed: "):
            pass  # of the case before: gRPC may have dialed more than once
        assert line == "draining\n", f"expected the server to drain, got {line!r}"
        go_on.set()
        assert next(call) == b"after"
        assert list(call) == []
        assert call.code() == grpc.StatusCode.OK


class PythonServer(grpc.GenericRpcHandler):
    """The methods of echo_server.c, by grpcio."""

    def __init__(self):
        self.num_abandoned, self.changed = 0, threading.Condition()

    def service(self, details):
        methods = {"Echo": self.echo, "Hold": self.hold, "Fail": self.fail, "Silent": self.silent, "Count": self.count,
                   "Ended": self.ended}
        method = methods.get(details.method.removeprefix("/interop.Echo/"))
        return method and grpc.stream_stream_rpc_method_handler(method)

    def watch(self, context):
        def ended():
            with self.changed:
                self.num_abandoned += 1
                self.changed.notify_all()
        if not context.add_callback(ended):  # its deadline passed before this handler began
            ended()

    def echo(self, messages, context):
        yield from messages

    def hold(self, messages, context):
        """For a client that cancels: grpcio may end `messages` then as if the client had sent all of them."""
        self.watch(context)
        yield from messages

    def silent(self, messages, context):
        self.watch(context)
        stopped = threading.Event()
        context.add_callback(stopped.set)
        stopped.wait(5)
        return iter(())

    def fail(self, messages, context):
        number, text = next(messages).decode().split(" ", 1)
        code = next(code for code in grpc.StatusCode if code.value[0] == int(number))
        context.abort(code, text)

    def count(self, messages, context):
        num, size = map(int, next(messages).split())
        yield from (bytes(size) for _ in range(num))

    def ended(self, messages, context):
        with self.changed:
            self.changed.wait_for(lambda: self.num_abandoned >= 2, 30)
        for _ in messages:
            yield str(self.num_abandoned).encode()


def run_our_client(tls):
    """Yields (name, None or the error)."""
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(120), options=LIMIT)
    server.add_generic_rpc_handlers((PythonServer(),))
    port = (server.add_secure_port("127.0.0.1:0", tls.server_credentials()) if tls
            else server.add_insecure_port("127.0.0.1:0"))
    server.start()
    done = subprocess.run([PROGRAMS / "test/interop/echo_client", str(port), *([tls.folder.name] if tls else [])],
                          capture_output=True, text=True, timeout=300)
    server.stop(None)
    for line in done.stdout.splitlines():
        name, _, wrong = line.removeprefix("not ok ").removeprefix("ok ").partition(": ")
        yield f"our client: {name}", wrong if line.startswith("not ok") else None
    if done.returncode not in (0, 1):
        yield "our client ended", f"status {done.returncode}: {done.stderr}"


def run_our_server(tls):
    server = OurServer(tls)
    for name in [name for name in OurServer.__dict__ if name.startswith("case_")]:
        title = "our server: " + name.removeprefix("case_").replace("_", " ")
        try:
            getattr(server, name)()
            yield title, None
        except (AssertionError, grpc.RpcError) as error:
            yield title, str(error) or repr(error)
    try:
        server.close()
        yield "our server: ends cleanly", None
    except AssertionError as error:
        yield "our server: ends cleanly", str(error)


def main():
    num_passed = num_failed = 0
    tls = Tls()
    for run, over in ((run, over) for over in (None, tls) for run in (run_our_server, run_our_client)):
        for name, wrong in run(over):
            name += " over TLS" if over else ""
            num_passed += wrong is None
            num_failed += wrong is not None
            print(f"{'ok' if wrong is None else 'FAILED'}  {name}{'' if wrong is None else ': ' + wrong}", flush=True)
    print(f"{num_passed} passed, {num_failed} failed")
    return num_failed != 0


if __name__ == "__main__":
    sys.exit(main())
