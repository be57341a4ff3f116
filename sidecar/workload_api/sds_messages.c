#include "sidecar/workload_api/sds_messages.h"

#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "proto/workload/sds.pb-c.h"
#include "sidecar/workload_api/sds_secret.h"
#include <stdio.h>

/* --- requests --- */

void sds_names_done(struct sds_names *names)
{
	for (size_t i = 0; i < names->num; i++)
		mem_free(names->texts[i]);
	names->num = 0;
}

bool sds_names_eq(const struct sds_names *a, const struct sds_names *b)
{
	if (a->num != b->num)
		return false;
	for (size_t i = 0; i < a->num; i++)
		if (strcmp(a->texts[i], b->texts[i]) != 0)
			return false;
	return true;
}

void sds_request_done(struct sds_request *request)
{
	sds_names_done(&request->names);
}

static void copy_text(ProtobufCBinaryData from, char *to, size_t cap)
{
	(void)snprintf(to, cap, "%.*s", (int)(from.len < cap ? from.len : cap - 1), (const char *)from.data);
}

static enum err names_of(const Handfast__Sds__DiscoveryRequest *message, struct sds_names *out, struct why *why)
{
	if (message->n_resource_names > SDS_NAMES_MAX)
		return why_set(why, ERR_TOO_LARGE, "at most 16 secrets per stream",
			"open another stream for the others", "the request names %zu secrets",
			message->n_resource_names);
	for (size_t i = 0; i < message->n_resource_names; i++) {
		struct span name = pb_span(message->resource_names[i]);
		if (name.len == 0 || name.len > SDS_NAME_MAX || memchr(name.ptr, 0, name.len) != NULL)
			return why_set(why, ERR_MALFORMED, "names of 1 to 2048 bytes without NUL",
				"correct the name of the secret", "name %zu has %zu bytes", i + 1, name.len);
		out->texts[out->num++] = mem_printf("%.*s", (int)name.len, (const char *)name.ptr);
	}
	return ERR_NONE;
}

static bool is_set(const Handfast__Sds__Node *node, const char *key)
{
	const Handfast__Sds__Metadata *metadata = node != NULL ? node->metadata : NULL;
	for (size_t i = 0; metadata != NULL && i < metadata->n_fields; i++) {
		const Handfast__Sds__MetadataField *field = metadata->fields[i];
		if (span_eq(pb_span(field->key), span_of_str(key)) && field->value != NULL)
			return field->value->bool_value ||
			       span_eq(pb_span(field->value->string_value), SPAN_LITERAL("true"));
	}
	return false;
}

enum err sds_request_parse(struct span bytes, struct sds_request *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *base;
	RETURN_IF_ERR(pb_unpack(&handfast__sds__discovery_request__descriptor, bytes, &arena, &base, why));
	const Handfast__Sds__DiscoveryRequest *message = (const Handfast__Sds__DiscoveryRequest *)base;
	struct sds_request request = {0};
	enum err err = names_of(message, &request.names, why);
	if (err != ERR_NONE) {
		sds_request_done(&request);
		return err;
	}
	struct span type = pb_span(message->type_url);
	request.is_other_type = type.len > 0 && !span_eq(type, SPAN_LITERAL(SDS_TYPE_URL));
	copy_text(message->response_nonce, request.nonce, sizeof(request.nonce));
	request.is_refusal = message->error_detail != NULL;
	if (request.is_refusal)
		copy_text(message->error_detail->message, request.refusal, sizeof(request.refusal));
	if (is_set(message->node, "disable_spiffe_cert_validation"))
		request.wants = is_set(message->node, "check_leaf_crl") ? SDS_ROOTS_AND_LISTS : SDS_ROOTS;
	*out = request;
	return ERR_NONE;
}

/* --- answers --- */

struct secrets {
	size_t num;
	Handfast__Sds__Any messages[SDS_NAMES_MAX], *pointers[SDS_NAMES_MAX];
	struct buf packed[SDS_NAMES_MAX];
};

static void secrets_done(struct secrets *secrets)
{
	for (size_t i = 0; i < secrets->num; i++)
		buf_wipe(&secrets->packed[i]);
}

static enum err secrets_make(
	const struct credentials *credentials, const struct sds_answer *answer, struct secrets *out, struct why *why)
{
	for (size_t i = 0; i < answer->names->num; i++) {
		struct buf *packed = &out->packed[i];
		*packed = BUF_INIT(SDS_SECRET_MAX);
		out->num++;
		RETURN_IF_ERR(sds_secret_encode(credentials, answer->names->texts[i], answer->validation, packed, why));
		handfast__sds__any__init(&out->messages[i]);
		out->messages[i].type_url = pb_bytes(SPAN_LITERAL(SDS_TYPE_URL));
		out->messages[i].value = pb_bytes(buf_span(packed));
		out->pointers[i] = &out->messages[i];
	}
	return ERR_NONE;
}

enum err sds_answer_encode(
	const struct credentials *credentials, const struct sds_answer *answer, struct buf *out, struct why *why)
{
	_cleanup_(secrets_done) struct secrets secrets = {0};
	RETURN_IF_ERR(secrets_make(credentials, answer, &secrets, why));
	Handfast__Sds__DiscoveryResponse message = HANDFAST__SDS__DISCOVERY_RESPONSE__INIT;
	message.version_info = pb_bytes(span_of_str(answer->version));
	message.nonce = pb_bytes(span_of_str(answer->nonce));
	message.type_url = pb_bytes(SPAN_LITERAL(SDS_TYPE_URL));
	message.n_resources = secrets.num;
	message.resources = secrets.pointers;
	return pb_pack(&message.base, out);
}
