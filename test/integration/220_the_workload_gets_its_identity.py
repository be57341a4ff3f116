"""The sidecar serves the SPIFFE Workload API and Envoy's secret discovery on a Unix socket, to its own workload and to no
other process; each rotation is pushed.

    server: any process, any user -> [sidecar] workload.sock
    stranger: a process in another network namespace -> the same socket

Abuse cases W1 to W8."""

import os
import signal
import socket

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from handfast_harness import Mesh, expect, expect_eq, expect_in, identity_of, needs, wait_until
from peers import workload
from peers.enrollment import field, fields

DEADLINE_S = 300
APP, OTHER, SIDECAR, OVERFLOW = 1000, 1001, 1337, 65534


def arrange(story):
    story.socket = os.path.join(story.folder("sockets"), "workload.sock")
    os.chmod(os.path.dirname(story.socket), 0o777)
    story.mesh = Mesh(story, hosts=("server",), outsiders=("stranger",), leaf_ttl="30s",
                      sidecar={"workload_api": {"socket": story.socket, "uids": [APP]}})
    story.host, story.sidecar = story.mesh.server, story.mesh.sidecar("server")


def _client(story, uid=APP, host=None):
    return story.own(workload.Client(host or story.host, story.socket, uid=uid))


def _expect_refused(story, uid, host=None, message=b""):
    with workload.Client(host or story.host, story.socket, uid=uid) as client:
        for call in (client.call("FetchX509SVID", message), client.call("FetchX509Bundles", message),
                     client.call("StreamSecrets", workload.discovery_request("default"), path=workload.SDS)):
            expect_eq((call.end()[0], call.messages), (workload.PERMISSION_DENIED, []), "the answer to uid %d" % uid)


def _public(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def shows_the_svid_its_key_and_the_bundle(story):
    svid = workload.x509_svid(_client(story).call("FetchX509SVID").message())
    expect_eq(svid["id"], identity_of("server"), "the identity")
    leaf, issuer = [x509.load_der_x509_certificate(der) for der in svid["chain"]]
    key = serialization.load_der_private_key(svid["key"], None)
    expect_eq(_public(key.public_key()), _public(leaf.public_key()), "the key of the leaf")
    roots = [x509.load_der_x509_certificate(der) for der in svid["bundle"]]
    expect_eq(len(roots), 1, "roots")
    for below, above in ((leaf, issuer), (issuer, roots[0])):
        above.public_key().verify(below.signature, below.tbs_certificate_bytes, ec.ECDSA(below.signature_hash_algorithm))
    expect_eq(svid["federated"], {}, "federated bundles")
    expect_eq("%x" % leaf.serial_number, story.sidecar.serial().lstrip("0"), "the serial of /certs")


def shows_the_bundles_of_all_trust_domains(story):
    found = workload.bundles(_client(story).call("FetchX509Bundles").message())
    expect_eq(list(found), ["spiffe://cluster.local"], "trust domains")
    expect_eq(len(workload.certificates(found["spiffe://cluster.local"])), 1, "roots")


def shows_the_revocation_lists_of_its_authorities(story):
    """With the key identifier of the leaf's issuer and of the root, and a number."""
    stream = _client(story).call("FetchX509SVID")
    svid = workload.x509_svid(stream.message())
    while len(svid["lists"]) < 2:  # they are made within seconds of the first start
        svid = workload.x509_svid(stream.message(timeout_s=30))
    lists = [x509.load_der_x509_crl(der) for der in svid["lists"]]
    keys = {one.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier for one in lists}
    above = [x509.load_der_x509_certificate(der) for der in (svid["chain"][1], svid["bundle"][0])]
    expect_eq(keys, {one.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest for one in above}, "the keys")
    expect(all(one.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number > 0 for one in lists), "no number")


def shows_that_each_rotation_is_pushed(story):
    stream = _client(story).call("FetchX509SVID")
    first = workload.x509_svid(stream.message())
    second = first
    while second["chain"][0] == first["chain"][0]:  # what else changes is sent, too
        second = workload.x509_svid(stream.message(timeout_s=40))
    expect(first["key"] != second["key"], "the same key was sent again")


def shows_that_W8_a_call_without_the_header_is_refused(story):
    client = _client(story)
    for metadata in ((), (("workload.spiffe.io", "false"),), (("workload.spiffe.io", ""),)):
        for method in ("FetchX509SVID", "FetchX509Bundles"):
            call = client.call(method, metadata=metadata)
            status, text = call.end()
            expect_eq(status, workload.INVALID_ARGUMENT, "the status of %s with %s" % (method, metadata))
            expect_in("workload.spiffe.io", text, "the reason")
            expect_eq(call.messages, [], "messages")


def shows_that_W1_another_user_gets_nothing(story):
    for uid in (OTHER, 1, 65533):
        _expect_refused(story, uid)
    story.sidecar.process.wait_for_log("uid %d may not ask for the identity" % OTHER)
    expect_in("audit", story.sidecar.process.log(), "the log")


def shows_that_root_and_the_sidecars_user_get_it(story):
    for uid in (0, SIDECAR):
        _client(story, uid).call("FetchX509SVID").message()


def shows_that_W2_what_a_message_claims_is_ignored(story):
    claim = field(1, APP) + field(2, APP) + field(3, b"spiffe://cluster.local/ns/default/sa/root")
    _expect_refused(story, OTHER, message=claim)
    svid = workload.x509_svid(_client(story).call("FetchX509SVID", claim).message())
    expect_eq(svid["id"], identity_of("server"), "the identity")


def shows_that_W3_a_dead_process_leaves_no_right_behind(story):
    """The pid proves nothing: a process of another user with the pid of one that may ask is judged by its own user. A
    connection is judged as of connect(), not by the process that has the pid now."""
    program = ("import os, socket, sys, time\n"
               "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.set_inheritable(True)\n"
               "if os.fork(): os._exit(0)\n"
               "os.write(1, b'x'); time.sleep(30)\n")  # duration: the descriptor stays open
    child = story.spawn(story.host, "forked", ["/usr/bin/python3", "-c", program, story.socket], uid=OTHER)
    wait_until("the connecting process to end", lambda: child.exit_code is not None)
    _expect_refused(story, OTHER)


def shows_that_W4_a_descriptor_has_the_identity_of_who_connected(story):
    """Passed on by a process that may ask, it is that process's own secret that it gives away; passed on by one that may
    not, it is worth nothing, also in root's hands."""
    for uid, status in ((OTHER, workload.PERMISSION_DENIED), (APP, None)):
        client = _client(story, uid)
        left, right = socket.socketpair()
        with left, right:
            socket.send_fds(left, [b"x"], [client.sock.fileno()])
            _, fds, _, _ = socket.recv_fds(right, 1, 1)
        client.sock.close()
        client.sock = socket.socket(fileno=fds[0])
        call = client.call("FetchX509SVID")
        if status:
            call.end()
        else:
            call.has_message(10)
        expect_eq((call.status, len(call.messages)), (status, 0 if status else 1), "the answer to a connection of %d" % uid)


def shows_that_W6_a_user_without_a_number_here_is_refused(story):
    _expect_refused(story, OVERFLOW)


def shows_that_another_network_namespace_is_refused(story):
    for uid in (APP, 0):
        _expect_refused(story, uid, story.mesh.stranger)
    story.sidecar.process.wait_for_log("is in another network namespace")


def shows_that_who_may_not_ask_takes_no_place(story):
    crowd = [_client(story, OTHER) for _ in range(60)]
    for _ in range(3):
        workload.x509_svid(_client(story).call("FetchX509SVID").message())
    wait_until("most of the crowd to be cut", lambda: sum(_is_cut(client) for client in crowd) >= 50, 20)


def _is_cut(client):
    client.read(0.01)
    return not client.is_open


def shows_that_streams_and_connections_are_bounded(story):
    connections = [_client(story) for _ in range(40)]
    calls = [client.call("FetchX509SVID") for client in connections for _ in range(12)]
    served = sum(call.has_message(1) for call in calls if call.client.is_open)
    expect(200 <= served <= 256, "%d streams are served" % served)
    for client in connections:
        client.sock.close()
    wait_until("their places to be free", lambda: _is_served(story), 20)


def _is_served(story):
    """By a connection of its own, which takes no place afterward."""
    with workload.Client(story.host, story.socket, uid=APP) as client:
        return client.call("FetchX509SVID").has_message(1)


def shows_that_a_stream_of_secrets_follows_the_rotation(story):
    stream = _client(story).call("StreamSecrets", workload.discovery_request("default", nonce="of another stream"),
                                 metadata=(), path=workload.SDS, ends=False)
    version, nonce, secrets = workload.discovery_response(stream.message())
    expect_eq(list(secrets), ["default"], "names")
    certificate = dict(fields(secrets["default"][2]))
    chain, key = (dict(fields(certificate[number]))[2] for number in (1, 2))
    leaf = x509.load_pem_x509_certificate(chain)
    expect_eq(_public(serialization.load_pem_private_key(key, None).public_key()), _public(leaf.public_key()), "the key")
    stream.send(workload.discovery_request("default", version=version, nonce=nonce))
    next_version, next_nonce, _ = workload.discovery_response(stream.message(timeout_s=40))  # not the answer to the ACK
    expect(next_version != version and next_nonce != nonce, "the same version or nonce")
    stream.send(workload.discovery_request("default", version=version, nonce=next_nonce, error="no thanks"))
    story.sidecar.process.wait_for_log("no thanks")
    if stream.has_message(0.5):  # a rotation; a NACK is not answered
        last_version, next_nonce, _ = workload.discovery_response(stream.message())
        expect(last_version != next_version, "a NACK was answered with the same version")
    stream.send(workload.discovery_request("default", "ROOTCA", version=version, nonce=next_nonce))
    expect_eq(sorted(workload.discovery_response(stream.message())[2]), ["ROOTCA", "default"], "names afterward")


def shows_what_a_peer_is_validated_by(story):
    client = _client(story)
    names = ["ROOTCA", "ALL", "cluster.local", "spiffe://cluster.local"]
    call = client.call("FetchSecrets", workload.discovery_request(*names), metadata=(), path=workload.SDS)
    secrets = workload.discovery_response(call.message())[2]
    expect_eq(sorted(secrets), sorted(names), "names")
    for name, secret in secrets.items():
        validator = dict(fields(dict(fields(secret[4]))[12]))
        expect_eq(validator[1], b"envoy.tls.cert_validator.spiffe", "the validator of %s" % name)
        domain = dict(fields(dict(fields(dict(fields(validator[2]))[2]))[1]))
        expect_eq(domain[1], b"cluster.local", "the trust domain of %s" % name)
        x509.load_pem_x509_certificate(dict(fields(domain[2]))[2])
    expect_eq(call.end()[0], workload.OK, "the status")


def shows_that_unknown_secrets_and_types_are_refused(story):
    client = _client(story)
    for request, status in ((workload.discovery_request("nothing"), workload.NOT_FOUND),
                            (workload.discovery_request("default", type_url="type.googleapis.com/other"),
                             workload.INVALID_ARGUMENT),
                            (workload.discovery_request(*["name%d" % i for i in range(17)]), workload.INVALID_ARGUMENT),
                            (b"\xff\xff\xff", workload.INVALID_ARGUMENT)):
        for method in ("FetchSecrets", "StreamSecrets"):
            call = client.call(method, request, metadata=(), path=workload.SDS, ends=method == "FetchSecrets")
            expect_eq((call.end()[0], call.messages), (status, []), "%s of %r" % (method, request[:20]))
    delta = client.call("DeltaSecrets", b"", metadata=(), path=workload.SDS)
    expect_eq(delta.end()[0], workload.UNIMPLEMENTED, "DeltaSecrets")


def shows_that_a_call_before_the_identity_waits_for_it(story):
    story.sidecar.stop()
    os.unlink(os.path.join(story.sidecar.state, "identity"))  # what a restart in an outage would go on with
    story.mesh.control.process.signal(signal.SIGSTOP)  # a start of it could take longer than a call waits
    try:
        story.sidecar.launch()
        wait_until("the socket", lambda: _listens(story))
        call = _client(story).call("FetchX509SVID")
        expect(not call.has_message(1), "an answer without an identity")
    finally:
        story.mesh.control.process.signal(signal.SIGCONT)
    workload.x509_svid(call.message(timeout_s=9))
    story.sidecar.wait_until_ready()


def _listens(story):
    try:
        story.host.connect_unix(story.socket).close()
        return True
    except OSError:
        return False


@needs(shows_that_a_call_before_the_identity_waits_for_it)
def shows_that_an_expired_identity_ends_the_streams(story):
    call = _client(story).call("FetchX509SVID")
    call.message()
    story.mesh.control.stop()
    status = wait_until("the stream to end", lambda: _ended(call), 60)
    expect_eq(status, workload.PERMISSION_DENIED, "the status")
    late = _client(story).call("FetchX509SVID")
    expect_eq((late.end(30)[0], late.messages), (workload.PERMISSION_DENIED, []), "a call without an identity")
    story.mesh.control.start()
    wait_until("an identity again", lambda: _is_served(story), 40)


def _ended(call):
    call.has_message(0.2)
    call.messages.clear()
    return call.status


def shows_that_W7_another_users_file_is_not_replaced(story):
    """And the sidecar reports it, in place of starting without the socket."""
    story.sidecar.stop()
    os.symlink("/etc/passwd", story.socket)
    process = story.sidecar.launch()
    expect_eq(process.wait_for_exit() != 0, True, "it started")
    expect_in("is a symbolic link", process.log(), "its log")
    os.unlink(story.socket)
    story.sidecar.start()
