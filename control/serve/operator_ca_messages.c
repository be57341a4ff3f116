/* The messages of ca status, ca rotate and revoke. */
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "certs/pem.h"
#include "control/serve/operator_messages.h"
#include "control/serve/reach_message.h"
#include "proto/handfast/v1/operator.pb-c.h"

void ca_status_done(struct ca_status *status)
{
	for (size_t i = 0; i < status->num_shown; i++)
		spiffe_id_done(&status->waited[i].id);
}

static void fill_waited(const struct ca_waited *from, Handfast__V1__CaWaited *out)
{
	handfast__v1__ca_waited__init(out);
	out->id = pb_bytes(spiffe_id_text(&from->id));
	out->connected = from->is_connected;
	out->svid_not_after_ms = from->not_after_ms;
	out->release = pb_bytes(span_of_str(from->release));
	if (from->is_connected)
		out->ip = pb_bytes(ip_addr_bytes(&from->source));
}

static void fill_root(const struct ca_root *from, Handfast__V1__CaRoot *out)
{
	handfast__v1__ca_root__init(out);
	out->sha256 = pb_bytes(span_of(from->sha256, DIGEST_LEN));
	out->role = pb_bytes(span_of_str(from->role));
	out->not_before_ms = from->not_before_ms;
	out->not_after_ms = from->not_after_ms;
}

struct ca_message { /* a CaStatusResponse and the memory that it points to */
	Handfast__V1__CaStatusResponse status;
	Handfast__V1__CaWaited waited[CA_WAITED_MAX], *waited_rows[CA_WAITED_MAX];
	Handfast__V1__CaRoot roots[32], *root_rows[32];
	ProtobufCBinaryData replicas[CA_REPLICAS_MAX];
};

static void fill_status(const struct ca_status *status, struct ca_message *out)
{
	Handfast__V1__CaStatusResponse *message = &out->status;
	handfast__v1__ca_status_response__init(message);
	for (size_t i = 0; i < status->num_shown; i++) {
		fill_waited(&status->waited[i], &out->waited[i]);
		out->waited_rows[i] = &out->waited[i];
	}
	for (size_t i = 0; i < status->num_roots; i++) {
		fill_root(&status->roots[i], &out->roots[i]);
		out->root_rows[i] = &out->roots[i];
	}
	message->num_replicas = status->num_replicas;
	message->n_replicas = status->num_replicas < CA_REPLICAS_MAX ? status->num_replicas : CA_REPLICAS_MAX;
	for (size_t i = 0; i < message->n_replicas; i++)
		out->replicas[i] = pb_bytes(span_of_str(status->replicas[i]));
	message->replicas = out->replicas;
	message->phase = pb_bytes(span_of_str(status->phase));
	message->number = status->number;
	message->began_ms = status->began_ms;
	message->phase_began_ms = status->phase_began_ms;
	message->forced = status->is_forced;
	message->num_waited = status->num_waited;
	message->unrecorded_until_ms = status->unrecorded_until_ms;
	message->partners_until_ms = status->partners_until_ms;
	message->waited = out->waited_rows;
	message->n_waited = status->num_shown;
	message->roots = out->root_rows;
	message->n_roots = status->num_roots;
	message->num_tokens = status->num_tokens;
}

enum err ca_status_encode(const struct ca_status *status, const struct ca_status *bootstrap, struct buf *out)
{
	_cleanup_(mem_freep) struct ca_message *messages = mem_calloc(2, sizeof *messages);
	fill_status(status, &messages[0]);
	fill_status(bootstrap, &messages[1]);
	messages[0].status.bootstrap = &messages[1].status;
	Handfast__V1__Reach reached;
	messages[0].status.reach = reach_fill(&status->reach, &reached);
	return pb_pack(&messages[0].status.base, out);
}

enum err ca_rotate_request_parse(struct span bytes, struct ca_rotate_request *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__ca_rotate_request__descriptor, bytes, &arena, &unpacked, why));
	const Handfast__V1__CaRotateRequest *message = (const Handfast__V1__CaRotateRequest *)unpacked;
	*out = (struct ca_rotate_request){.is_forced = message->force,
		.is_compromised = message->compromised,
		.is_bootstrap = message->bootstrap};
	return ERR_NONE;
}

enum err ca_abort_request_parse(struct span bytes, bool *out_is_bootstrap, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__ca_abort_request__descriptor, bytes, &arena, &unpacked, why));
	*out_is_bootstrap = ((const Handfast__V1__CaAbortRequest *)unpacked)->bootstrap;
	return ERR_NONE;
}

enum err ca_retire_request_parse(struct span bytes, bool *out_is_forced, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__ca_retire_request__descriptor, bytes, &arena, &unpacked, why));
	*out_is_forced = ((const Handfast__V1__CaRetireRequest *)unpacked)->force;
	return ERR_NONE;
}

enum err ca_csr_encode(struct span csr_der, struct buf *out)
{
	Handfast__V1__CaCsrResponse message = HANDFAST__V1__CA_CSR_RESPONSE__INIT;
	_cleanup_(buf_done) struct buf pem = BUF_INIT(16384);
	RETURN_IF_ERR(pem_encode("CERTIFICATE REQUEST", csr_der, &pem));
	message.csr = pb_bytes(buf_span(&pem));
	return pb_pack(&message.base, out);
}

enum err ca_crl_encode(const struct bundle_set *bundles, struct span trust_domain, struct buf *out)
{
	Handfast__V1__CaCrlResponse message = HANDFAST__V1__CA_CRL_RESPONSE__INIT;
	_cleanup_(buf_done) struct buf pem = BUF_INIT(CA_CRL_RESPONSE_MAX);
	for (size_t i = 0; i < bundle_set_num_crls(bundles, trust_domain); i++) {
		_cleanup_(buf_done) struct buf der = BUF_INIT(CA_CRL_RESPONSE_MAX);
		RETURN_IF_ERR(bundle_set_put_crl(bundles, trust_domain, i, &der));
		RETURN_IF_ERR(pem_encode("X509 CRL", buf_span(&der), &pem));
	}
	message.crls = pb_bytes(buf_span(&pem));
	return pb_pack(&message.base, out);
}

enum err ca_import_request_parse(struct span bytes, struct pb_arena **arena, struct span *out_pem, struct why *why)
{
	ProtobufCMessage *unpacked;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__ca_import_request__descriptor, bytes, arena, &unpacked, why));
	*out_pem = pb_span(((const Handfast__V1__CaImportRequest *)unpacked)->pem);
	return ERR_NONE;
}

enum err revoke_serial_request_parse(struct span bytes, struct revoke_request *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__revoke_request__descriptor, bytes, &arena, &unpacked, why));
	const Handfast__V1__RevokeRequest *message = (const Handfast__V1__RevokeRequest *)unpacked;
	struct span serial = pb_span(message->serial);
	*out = (struct revoke_request){.is_intermediate = message->intermediate};
	if (message->intermediate)
		return ERR_NONE;
	/* Other programs show a DER INTEGER whose first byte is only its sign (RFC 5280 4.1.2.2: serials are positive).
	 */
	while (serial.len > 1 && serial.ptr[0] == 0)
		serial = span_from(serial, 1);
	if (serial.len == 0 || serial.len > sizeof out->serial)
		return why_set(why, ERR_MALFORMED, "a serial of 1 to 20 bytes", "see the serials in `handfast status`",
			"the serial has %zu bytes", serial.len);
	memcpy(out->serial, serial.ptr, serial.len);
	out->serial_len = serial.len;
	return ERR_NONE;
}

enum err revoke_serial_answer_encode(const struct revoke_answer *answer, struct buf *out)
{
	Handfast__V1__RevokeResponse message = HANDFAST__V1__REVOKE_RESPONSE__INIT;
	message.serial = pb_bytes(answer->serial);
	message.id = pb_bytes(answer->id);
	message.until_ms = answer->until_ms;
	message.was_revoked = answer->was_revoked;
	message.unknown = answer->is_unknown;
	Handfast__V1__Reach reached;
	message.reach = reach_fill(&answer->reach, &reached);
	return pb_pack(&message.base, out);
}
