#include "sidecar/identity/messages.h"

#include "base/core/check.h"
#include "base/pb/unpack.h"
#include "proto/handfast/v1/enrollment.pb-c.h"
#include "proto/handfast/v1/identity.pb-c.h"

enum { PROTOCOL_VERSION = 1, NUM_FEATURES = 2 };

/* The messages that a request points to, on the caller's stack while it is packed. */
struct attestation_messages {
	Handfast__V1__AttestationData data;
	Handfast__V1__JoinTokenData token;
	Handfast__V1__AttestationKeyData key;
	Handfast__V1__KubernetesData kubernetes;
	Handfast__V1__UnixPeerData unix_peer;
	Handfast__V1__X509Data x509;
	ProtobufCBinaryData chain[X509_CHAIN_MAX];
};

static void fill_x509(const struct attestation *attestation, struct attestation_messages *out)
{
	CHECK(attestation->x509.num_chain <= X509_CHAIN_MAX);
	out->x509 = (Handfast__V1__X509Data)HANDFAST__V1__X509_DATA__INIT;
	for (size_t i = 0; i < attestation->x509.num_chain; i++)
		out->chain[i] = pb_bytes(attestation->x509.chain[i]);
	out->x509.chain = out->chain;
	out->x509.n_chain = attestation->x509.num_chain;
	out->x509.signature = pb_bytes(attestation->x509.signature);
	out->data.kind_case = HANDFAST__V1__ATTESTATION_DATA__KIND_X509;
	out->data.x509 = &out->x509;
}

static void fill_attestation(const struct attestation *attestation, struct attestation_messages *out)
{
	out->data = (Handfast__V1__AttestationData)HANDFAST__V1__ATTESTATION_DATA__INIT;
	switch (attestation->kind) {
	case ATTESTATION_JOIN_TOKEN:
		out->token = (Handfast__V1__JoinTokenData)HANDFAST__V1__JOIN_TOKEN_DATA__INIT;
		out->token.token_id = pb_bytes(buf_span(&attestation->token->id));
		out->token.secret = pb_bytes(buf_span(&attestation->token->secret));
		out->data.kind_case = HANDFAST__V1__ATTESTATION_DATA__KIND_JOIN_TOKEN;
		out->data.join_token = &out->token;
		return;
	case ATTESTATION_KEY:
		out->key = (Handfast__V1__AttestationKeyData)HANDFAST__V1__ATTESTATION_KEY_DATA__INIT;
		out->data.kind_case = HANDFAST__V1__ATTESTATION_DATA__KIND_ATTESTATION_KEY;
		out->data.attestation_key = &out->key;
		return;
	case ATTESTATION_KUBERNETES:
		out->kubernetes = (Handfast__V1__KubernetesData)HANDFAST__V1__KUBERNETES_DATA__INIT;
		out->kubernetes.token = pb_bytes(attestation->kubernetes);
		out->data.kind_case = HANDFAST__V1__ATTESTATION_DATA__KIND_KUBERNETES;
		out->data.kubernetes = &out->kubernetes;
		return;
	case ATTESTATION_UNIX_PEER:
		out->unix_peer = (Handfast__V1__UnixPeerData)HANDFAST__V1__UNIX_PEER_DATA__INIT;
		out->data.kind_case = HANDFAST__V1__ATTESTATION_DATA__KIND_UNIX_PEER;
		out->data.unix_peer = &out->unix_peer;
		return;
	case ATTESTATION_X509:
		fill_x509(attestation, out);
		return;
	}
	CHECK_UNREACHABLE();
}

/* "claim-proof": this sidecar proves every claim, so the control plane refuses one without a proof. "attested-streams":
 * it opens its streams on the connection on which it was attested. */
static Handfast__V1__Hello hello_of(const char *release, ProtobufCBinaryData *features)
{
	Handfast__V1__Hello hello = HANDFAST__V1__HELLO__INIT;
	features[0] = pb_bytes(SPAN_LITERAL("claim-proof"));
	features[1] = pb_bytes(SPAN_LITERAL("attested-streams"));
	hello.features = features;
	hello.n_features = NUM_FEATURES;
	hello.protocol_version = PROTOCOL_VERSION;
	hello.release = pb_bytes(span_of_str(release));
	return hello;
}

enum err message_attest_encode(const struct certificate_request *request, const char *release, struct buf *out)
{
	Handfast__V1__AttestRequest message = HANDFAST__V1__ATTEST_REQUEST__INIT;
	ProtobufCBinaryData features[NUM_FEATURES];
	Handfast__V1__Hello hello = hello_of(release, features);
	struct attestation_messages attestation;
	fill_attestation(&request->attestation, &attestation);
	message.hello = &hello;
	message.attestation_data = &attestation.data;
	message.attestation_key = pb_bytes(request->attestation_key);
	message.csr = pb_bytes(request->csr);
	message.proof = pb_bytes(request->proof);
	return pb_pack(&message.base, out);
}

enum err message_hello_encode(const struct hello *from, struct buf *out)
{
	Handfast__V1__IdentityUp up = HANDFAST__V1__IDENTITY_UP__INIT;
	ProtobufCBinaryData features[NUM_FEATURES];
	Handfast__V1__Hello hello = hello_of(from->release, features);
	ProtobufCBinaryData addresses[2];
	CHECK(from->num_addresses <= 2);
	for (size_t i = 0; i < from->num_addresses; i++)
		addresses[i] = pb_bytes(ip_addr_bytes(&from->addresses[i]));
	up.kind_case = HANDFAST__V1__IDENTITY_UP__KIND_HELLO;
	up.hello = &hello;
	up.draining = from->is_draining;
	up.zone = from->zone;
	up.addresses = addresses;
	up.n_addresses = from->num_addresses;
	Handfast__V1__SidecarHealth health = HANDFAST__V1__SIDECAR_HEALTH__INIT;
	health.ready = from->health.is_ready;
	health.conditions = from->health.conditions;
	up.health = from->health.is_reported ? &health : NULL;
	return pb_pack(&up.base, out);
}

enum err message_renew_encode(const struct certificate_request *request, struct buf *out)
{
	Handfast__V1__IdentityUp up = HANDFAST__V1__IDENTITY_UP__INIT;
	Handfast__V1__RenewRequest renew = HANDFAST__V1__RENEW_REQUEST__INIT;
	struct attestation_messages attestation;
	fill_attestation(&request->attestation, &attestation);
	renew.request_id = request->id;
	renew.attestation_data = &attestation.data;
	renew.attestation_key = pb_bytes(request->attestation_key);
	renew.csr = pb_bytes(request->csr);
	renew.proof = pb_bytes(request->proof);
	up.kind_case = HANDFAST__V1__IDENTITY_UP__KIND_RENEW;
	up.renew = &renew;
	return pb_pack(&up.base, out);
}

enum err message_trust_ack_encode(struct epoch epoch, const char *refused, struct buf *out)
{
	Handfast__V1__IdentityUp up = HANDFAST__V1__IDENTITY_UP__INIT;
	Handfast__V1__TrustAck ack = HANDFAST__V1__TRUST_ACK__INIT;
	Handfast__V1__Epoch of = HANDFAST__V1__EPOCH__INIT;
	of.incarnation = epoch.incarnation;
	of.counter = epoch.counter;
	ack.epoch = &of;
	if (refused != NULL)
		ack.refused_reason = pb_bytes(span_of_str(refused));
	up.kind_case = HANDFAST__V1__IDENTITY_UP__KIND_ACK;
	up.ack = &ack;
	return pb_pack(&up.base, out);
}

enum err message_claim_encode(struct span attestation_key, struct span proof, struct buf *out)
{
	Handfast__V1__IdentityUp up = HANDFAST__V1__IDENTITY_UP__INIT;
	Handfast__V1__AddressClaim claim = HANDFAST__V1__ADDRESS_CLAIM__INIT;
	up.kind_case = HANDFAST__V1__IDENTITY_UP__KIND_CLAIM;
	claim.attestation_key = pb_bytes(attestation_key);
	claim.proof = pb_bytes(proof);
	up.claim = &claim;
	return pb_pack(&up.base, out);
}

enum err message_release_encode(struct buf *out)
{
	Handfast__V1__IdentityUp up = HANDFAST__V1__IDENTITY_UP__INIT;
	Handfast__V1__AddressRelease release = HANDFAST__V1__ADDRESS_RELEASE__INIT;
	up.kind_case = HANDFAST__V1__IDENTITY_UP__KIND_RELEASE;
	up.release = &release;
	return pb_pack(&up.base, out);
}

struct row_message {
	Handfast__V1__SeenPeer peer;
	Handfast__V1__SocketAddress address;
};

static void fill_row(const struct report_row *row, struct row_message *out)
{
	handfast__v1__seen_peer__init(&out->peer);
	handfast__v1__socket_address__init(&out->address);
	out->address.ip = pb_bytes(ip_addr_bytes(&row->address.ip));
	out->address.port = row->address.port;
	out->peer.address = &out->address;
	out->peer.peer = pb_bytes(span_of_str(row->id));
	out->peer.outbound = row->is_outbound;
	out->peer.encrypted = row->is_encrypted;
	out->peer.reason = pb_bytes(span_of_str(row->reason));
	out->peer.detail = pb_bytes(span_of_str(row->detail));
	out->peer.fix = pb_bytes(span_of_str(row->fix));
	out->peer.num = row->num;
	out->peer.first_ms = row->first_ms;
	out->peer.last_ms = row->last_ms;
}

enum err message_report_encode(const struct report *from, struct buf *out)
{
	Handfast__V1__IdentityUp up = HANDFAST__V1__IDENTITY_UP__INIT;
	Handfast__V1__PeerReport report = HANDFAST__V1__PEER_REPORT__INIT;
	struct row_message rows[REPORT_ROWS_MAX];
	Handfast__V1__SeenPeer *peers[REPORT_ROWS_MAX];
	CHECK(from->num_rows <= REPORT_ROWS_MAX);
	for (size_t i = 0; i < from->num_rows; i++) {
		fill_row(&from->rows[i], &rows[i]);
		peers[i] = &rows[i].peer;
	}
	report.peers = peers;
	report.n_peers = from->num_rows;
	report.num_left_out = from->num_left_out;
	report.strict_ready_ports = (uint32_t *)(uintptr_t)from->strict_ready_ports;
	report.n_strict_ready_ports = from->num_strict_ready_ports;
	report.plaintext_ports = (uint32_t *)(uintptr_t)from->plaintext_ports;
	report.n_plaintext_ports = from->num_plaintext_ports;
	up.kind_case = HANDFAST__V1__IDENTITY_UP__KIND_REPORT;
	up.report = &report;
	return pb_pack(&up.base, out);
}
