#include "sidecar/identity/messages.h"

#include "base/core/check.h"
#include "base/pb/unpack.h"
#include "proto/handfast/v1/enrollment.pb-c.h"
#include "proto/handfast/v1/identity.pb-c.h"
#include "sidecar/identity/trust_parse.h"
#include <stdio.h>
#include <string.h>

#define REFUSAL_MAX 1024 /* bytes of a reason that are parsed */

static enum err parse_svid(const Handfast__V1__Svid *message, struct svid **out, struct why *why)
{
	struct span chain[SVID_CHAIN_MAX];
	if (message == NULL || message->n_chain == 0 || message->n_chain > SVID_CHAIN_MAX)
		return why_set(why, ERR_MALFORMED, "a chain of 1 to 4 certificates", "inspect the control plane's log",
			"the SVID in the answer has %zu certificates", message == NULL ? 0 : message->n_chain);
	for (size_t i = 0; i < message->n_chain; i++)
		chain[i] = pb_span(message->chain[i]);
	return svid_parse(chain, message->n_chain, out, why);
}

enum err message_attest_answer_parse(
	struct span bytes, const struct trust_domain *own, struct attest_answer *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	_cleanup_(attest_answer_done) struct attest_answer answer = {0};
	ProtobufCMessage *read;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__attest_response__descriptor, bytes, &arena, &read, why));
	const Handfast__V1__AttestResponse *message = (const Handfast__V1__AttestResponse *)read;
	RETURN_IF_ERR(parse_svid(message->svid, &answer.svid, why));
	if (trust_parse(message->trust, own, &answer.trust) != ERR_NONE) {
		if (why != NULL)
			*why = answer.trust.detail;
		return answer.trust.detail.err;
	}
	answer.server_time_ms = message->server_time_ms;
	answer.streams_here = message->streams_here;
	*out = answer;
	answer = (struct attest_answer){0};
	return ERR_NONE;
}

void attest_answer_done(struct attest_answer *answer)
{
	svid_unref(answer->svid);
	trust_done(&answer->trust);
	*answer = (struct attest_answer){0};
}

/* The control plane's refusal: its three parts where why_format() wrote it, else the text as a whole. */
static void read_refusal(struct span text, const char *otherwise_expected, const char *otherwise_fix, struct why *why)
{
	char whole[REFUSAL_MAX];
	snprintf(whole, sizeof(whole), "%.*s", (int)text.len, text.len == 0 ? "" : (const char *)text.ptr);
	if (!why_parse(whole, ERR_DENIED, why))
		why_set(why, ERR_DENIED, otherwise_expected, otherwise_fix, "the control plane refused: %s", whole);
}

static void read_renewed(
	const Handfast__V1__RenewResponse *message, const struct trust_domain *own, struct identity_down *down)
{
	down->kind = DOWN_RENEWED;
	down->request_id = message->request_id;
	down->after_ms = message->retry_after_ms;
	if (message->svid == NULL) {
		read_refusal(pb_span(message->refused_reason), "a renewed SVID", "inspect the control plane's log",
			&down->detail);
		return;
	}
	if (parse_svid(message->svid, &down->svid, &down->detail) != ERR_NONE)
		down->svid = NULL;
	if (message->trust == NULL)
		return;
	down->has_trust = true;
	(void)!trust_parse(message->trust, own, &down->trust); /* the reason is in trust.detail */
}

static void read_claim(const Handfast__V1__ClaimResult *message, struct identity_down *down)
{
	down->kind = DOWN_CLAIM;
	down->is_claim_held = message->refused_reason.len == 0;
	if (message->address != NULL &&
		ip_addr_from_bytes(pb_span(message->address->ip), &down->claimed.ip) != ERR_NONE)
		down->claimed = (struct addr){.port = 0};
	down->after_ms = message->retry_after_ms;
	if (!down->is_claim_held)
		read_refusal(pb_span(message->refused_reason), "this address for this workload",
			"if the address now belongs to this workload: `handfast entry release`; the sidecar repeats "
			"the claim",
			&down->detail);
}

static void read_kind(
	const Handfast__V1__IdentityDown *message, const struct trust_domain *own, struct identity_down *down)
{
	switch (message->kind_case) {
	case HANDFAST__V1__IDENTITY_DOWN__KIND_TRUST:
		down->kind = DOWN_TRUST;
		(void)!trust_parse(message->trust, own, &down->trust); /* the reason is in trust.detail, for the nack */
		return;
	case HANDFAST__V1__IDENTITY_DOWN__KIND_RENEWED:
		read_renewed(message->renewed, own, down);
		return;
	case HANDFAST__V1__IDENTITY_DOWN__KIND_SLOT:
		down->kind = DOWN_SLOT;
		down->after_ms = message->slot->within_ms;
		return;
	case HANDFAST__V1__IDENTITY_DOWN__KIND_CLAIM_RESULT:
		read_claim(message->claim_result, down);
		return;
	case HANDFAST__V1__IDENTITY_DOWN__KIND__NOT_SET:
	case _HANDFAST__V1__IDENTITY_DOWN__KIND__CASE_IS_INT_SIZE:
		down->kind = DOWN_UNKNOWN;
		return;
	}
}

enum err message_identity_down_parse(
	struct span bytes, const struct trust_domain *own, struct identity_down *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *read;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__identity_down__descriptor, bytes, &arena, &read, why));
	const Handfast__V1__IdentityDown *message = (const Handfast__V1__IdentityDown *)read;
	*out = (struct identity_down){
		.server_time_ms = message->server_time_ms, .report_each_s = message->report_each_s};
	read_kind(message, own, out);
	return ERR_NONE;
}

void identity_down_done(struct identity_down *down)
{
	trust_done(&down->trust);
	svid_unref(down->svid);
	*down = (struct identity_down){0};
}
