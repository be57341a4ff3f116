/* Messages from sidecars. */
#include "base/pb/unpack.h"
#include "control/serve/messages.h"
#include "proto/handfast/v1/enrollment.pb-c.h"
#include "proto/handfast/v1/identity.pb-c.h"

enum { REPORT_ROWS_MAX = 64 };

/* A chain that is too long is refused later, by its number. */
static void read_x509(const Handfast__V1__X509Data *data, struct attest_request *out)
{
	out->kind = ATTESTATION_X509;
	out->x509.num_chain = data->n_chain;
	out->x509.signature = pb_span(data->signature);
	for (size_t i = 0; i < data->n_chain && i < ATTEST_X509_CHAIN_MAX; i++)
		out->x509.chain[i] = pb_span(data->chain[i]);
}

static void read_attestation(const Handfast__V1__AttestationData *data, struct attest_request *out)
{
	if (data == NULL)
		return;
	switch (data->kind_case) {
	case HANDFAST__V1__ATTESTATION_DATA__KIND_JOIN_TOKEN:
		out->kind = ATTESTATION_JOIN_TOKEN;
		out->token_id = pb_span(data->join_token->token_id);
		out->secret = pb_span(data->join_token->secret);
		return;
	case HANDFAST__V1__ATTESTATION_DATA__KIND_ATTESTATION_KEY:
		out->kind = ATTESTATION_KEY;
		return;
	case HANDFAST__V1__ATTESTATION_DATA__KIND_KUBERNETES:
		out->kind = ATTESTATION_KUBERNETES;
		out->kubernetes_token = pb_span(data->kubernetes->token);
		return;
	case HANDFAST__V1__ATTESTATION_DATA__KIND_UNIX_PEER:
		out->kind = ATTESTATION_UNIX_PEER;
		return;
	case HANDFAST__V1__ATTESTATION_DATA__KIND_X509:
		read_x509(data->x509, out);
		return;
	case HANDFAST__V1__ATTESTATION_DATA__KIND__NOT_SET:
	case _HANDFAST__V1__ATTESTATION_DATA__KIND__CASE_IS_INT_SIZE:
		return;
	}
}

static bool has_feature(const Handfast__V1__Hello *hello, struct span wanted)
{
	for (size_t i = 0; hello != NULL && i < hello->n_features; i++)
		if (span_eq(pb_span(hello->features[i]), wanted))
			return true;
	return false;
}

/* No feature is about revocation lists: release 0.1, which demands a fresh list of every authority of a chain once it
 * has any, is known by what it lacks (decision 118). */
static bool takes_lists(const Handfast__V1__Hello *hello)
{
	return has_feature(hello, SPAN_LITERAL(FEATURE_CLAIM_PROOF));
}

static void read_hello(const Handfast__V1__Hello *hello, uint32_t *out_version, struct span *out_release)
{
	if (hello == NULL)
		return;
	*out_version = hello->protocol_version;
	*out_release = pb_span(hello->release);
	if (out_release->len > 64)
		out_release->len = 64;
}

enum err attest_up_parse(struct span bytes, struct attest_up *out, struct why *why)
{
	ProtobufCMessage *unpacked;
	struct attest_up up = {0};
	RETURN_IF_ERR(pb_unpack(&handfast__v1__attest_request__descriptor, bytes, &up.arena, &unpacked, why));
	const Handfast__V1__AttestRequest *message = (const Handfast__V1__AttestRequest *)unpacked;
	read_hello(message->hello, &up.protocol_version, &up.release);
	read_attestation(message->attestation_data, &up.request);
	up.request.proves_claims = has_feature(message->hello, SPAN_LITERAL(FEATURE_CLAIM_PROOF));
	up.takes_lists = takes_lists(message->hello);
	up.opens_streams_here = has_feature(message->hello, SPAN_LITERAL(FEATURE_ATTESTED_STREAMS));
	up.request.attestation_key = pb_span(message->attestation_key);
	up.request.csr = pb_span(message->csr);
	up.request.proof = pb_span(message->proof);
	*out = up;
	return ERR_NONE;
}

void attest_up_done(struct attest_up *up)
{
	if (up->arena != NULL)
		pb_arena_free(up->arena);
	up->arena = NULL;
}

static void read_renew(const Handfast__V1__RenewRequest *message, struct identity_up *up)
{
	up->kind = IDENTITY_RENEW;
	up->request_id = message->request_id;
	read_attestation(message->attestation_data, &up->renew);
	up->renew.attestation_key = pb_span(message->attestation_key);
	up->renew.csr = pb_span(message->csr);
	up->renew.proof = pb_span(message->proof);
}

static void read_ack(const Handfast__V1__TrustAck *message, struct identity_up *up)
{
	up->kind = IDENTITY_ACK;
	up->refused_reason = pb_span(message->refused_reason);
	if (message->epoch != NULL)
		up->acked = (struct epoch){message->epoch->incarnation, message->epoch->counter};
}

/* There are two families: further addresses are ignored. */
static enum err read_addresses(const Handfast__V1__IdentityUp *message, struct identity_up *up, struct why *why)
{
	size_t max = sizeof(up->addresses) / sizeof(up->addresses[0]);
	for (size_t i = 0; i < message->n_addresses && i < max; i++) {
		struct span bytes = pb_span(message->addresses[i]);
		if (ip_addr_from_bytes(bytes, &up->addresses[up->num_addresses++]) != ERR_NONE)
			return why_set(why, ERR_MALFORMED, "addresses of 4 or 16 bytes", "update the sidecar",
				"an address has %zu bytes", bytes.len);
	}
	return ERR_NONE;
}

static enum err read_identity(const Handfast__V1__IdentityUp *message, struct identity_up *up, struct why *why)
{
	switch (message->kind_case) {
	case HANDFAST__V1__IDENTITY_UP__KIND_HELLO:
		up->kind = IDENTITY_HELLO;
		up->is_draining = message->draining;
		up->zone = message->zone;
		if (message->health != NULL)
			up->health = (struct sidecar_health){true, message->health->ready, message->health->conditions};
		up->proves_claims = has_feature(message->hello, SPAN_LITERAL(FEATURE_CLAIM_PROOF));
		up->takes_lists = takes_lists(message->hello);
		read_hello(message->hello, &up->protocol_version, &up->release);
		return read_addresses(message, up, why);
	case HANDFAST__V1__IDENTITY_UP__KIND_RENEW:
		read_renew(message->renew, up);
		return ERR_NONE;
	case HANDFAST__V1__IDENTITY_UP__KIND_ACK:
		read_ack(message->ack, up);
		return ERR_NONE;
	case HANDFAST__V1__IDENTITY_UP__KIND_CLAIM:
		up->kind = IDENTITY_CLAIM;
		up->attestation_key = pb_span(message->claim->attestation_key);
		up->proof = pb_span(message->claim->proof);
		return ERR_NONE;
	case HANDFAST__V1__IDENTITY_UP__KIND_RELEASE:
		up->kind = IDENTITY_RELEASE;
		return ERR_NONE;
	case HANDFAST__V1__IDENTITY_UP__KIND_REPORT:
		up->kind = IDENTITY_REPORT;
		return ERR_NONE;
	case HANDFAST__V1__IDENTITY_UP__KIND__NOT_SET:
	case _HANDFAST__V1__IDENTITY_UP__KIND__CASE_IS_INT_SIZE:
		break;
	}
	return why_set(why, ERR_UNSUPPORTED, "a message of handfast.v1.Identity", "update the control plane",
		"the message is of another kind");
}

enum err identity_up_parse(struct span bytes, struct identity_up *out, struct why *why)
{
	ProtobufCMessage *unpacked;
	_cleanup_(identity_up_done) struct identity_up up = {0};
	RETURN_IF_ERR(pb_unpack(&handfast__v1__identity_up__descriptor, bytes, &up.arena, &unpacked, why));
	RETURN_IF_ERR(read_identity((const Handfast__V1__IdentityUp *)unpacked, &up, why));
	*out = up;
	up.arena = NULL;
	return ERR_NONE;
}

void identity_up_done(struct identity_up *up)
{
	if (up->arena != NULL)
		pb_arena_free(up->arena);
	up->arena = NULL;
}

static bool read_seen(const Handfast__V1__SeenPeer *message, struct seen_peer *out)
{
	*out = (struct seen_peer){.id = pb_span(message->peer),
		.is_outbound = message->outbound,
		.is_encrypted = message->encrypted,
		.reason = pb_span(message->reason),
		.detail = pb_span(message->detail),
		.fix = pb_span(message->fix),
		.num = message->num,
		.first_ms = message->first_ms,
		.last_ms = message->last_ms};
	if (message->address == NULL || message->address->port > UINT16_MAX)
		return false;
	out->address.port = (uint16_t)message->address->port;
	return ip_addr_from_bytes(pb_span(message->address->ip), &out->address.ip) == ERR_NONE;
}

static void each_port_of(const uint32_t *ports, size_t num, bool plaintext, seen_port_fn *each, void *arg)
{
	for (size_t i = 0; i < num && i < REPORT_ROWS_MAX; i++)
		if (ports[i] > 0 && ports[i] <= UINT16_MAX)
			each(arg, (uint16_t)ports[i], plaintext);
}

bool identity_report_each(struct span bytes, seen_peer_fn *each, seen_port_fn *each_port, void *arg)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	struct why why;
	if (pb_unpack(&handfast__v1__identity_up__descriptor, bytes, &arena, &unpacked, &why) != ERR_NONE)
		return false;
	const Handfast__V1__IdentityUp *up = (const Handfast__V1__IdentityUp *)unpacked;
	if (up->kind_case != HANDFAST__V1__IDENTITY_UP__KIND_REPORT)
		return false;
	struct seen_peer seen;
	for (size_t i = 0; i < up->report->n_peers && i < REPORT_ROWS_MAX; i++)
		if (read_seen(up->report->peers[i], &seen))
			each(arg, &seen);
	each_port_of(up->report->strict_ready_ports, up->report->n_strict_ready_ports, false, each_port, arg);
	each_port_of(up->report->plaintext_ports, up->report->n_plaintext_ports, true, each_port, arg);
	return true;
}

enum err jwt_up_parse(struct span bytes, struct buf *out_audience, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__jwt_request__descriptor, bytes, &arena, &unpacked, why));
	const Handfast__V1__JwtRequest *message = (const Handfast__V1__JwtRequest *)unpacked;
	for (size_t i = 0; i < message->n_audience; i++) {
		struct span one = pb_span(message->audience[i]);
		bool is_line = one.len > 0 && memchr(one.ptr, '\n', one.len) == NULL;
		if (!is_line || (i > 0 && buf_append_str(out_audience, "\n") != ERR_NONE) ||
			buf_append(out_audience, one) != ERR_NONE)
			return why_set(why, ERR_MALFORMED, "1 to 8 audiences of 1 to 255 printable characters",
				"correct the audience of the request", "audience %zu is malformed", i + 1);
	}
	return ERR_NONE;
}
