#include "control/store/etcd/etcd_wire.h"
#include "base/core/check.h"
#include "base/core/hex.h"
#include "base/pb/unpack.h"
#include "proto/etcd/v3.pb-c.h"
#include <stdio.h>

#define WRITER_NAME "writer="
enum { COMPARE_MOD_REVISION = 2, EVENT_DELETE = 1, WRITER_LINE_LEN = sizeof WRITER_NAME - 1 + ETCD_WRITER_LEN };

void etcd_prefix_end(struct span prefix, uint8_t *out)
{
	CHECK(prefix.len > 0 && prefix.ptr[prefix.len - 1] < 0xff);
	memcpy(out, prefix.ptr, prefix.len);
	out[prefix.len - 1]++;
}

/* --- values --- */

enum err etcd_value_encode(const char *writer, struct span value, struct buf *out)
{
	CHECK(strlen(writer) == ETCD_WRITER_LEN - 1);
	RETURN_IF_ERR(buf_printf(out, WRITER_NAME "%s\n", writer));
	return buf_append(out, value);
}

enum err etcd_value_parse(struct span stored, struct span *out_writer, struct span *out_value)
{
	uint8_t mark[(ETCD_WRITER_LEN - 1) / 2];
	if (stored.len < WRITER_LINE_LEN || !span_starts_with(stored, SPAN_LITERAL(WRITER_NAME)) ||
		stored.ptr[WRITER_LINE_LEN - 1] != '\n')
		return ERR_STATE_DAMAGED;
	struct span writer = span_of(stored.ptr + sizeof WRITER_NAME - 1, ETCD_WRITER_LEN - 1);
	if (!hex_parse(writer, mark, sizeof mark))
		return ERR_STATE_DAMAGED;
	*out_writer = writer;
	*out_value = span_from(stored, WRITER_LINE_LEN);
	return ERR_NONE;
}

/* --- requests --- */

enum err etcd_range_encode(const struct etcd_range *range, struct buf *out)
{
	Handfast__Etcd__RangeRequest message = HANDFAST__ETCD__RANGE_REQUEST__INIT;
	message.key = pb_bytes(range->key);
	message.range_end = pb_bytes(range->end);
	message.revision = (int64_t)range->revision;
	message.limit = range->limit;
	return pb_pack(&message.base, out);
}

enum err etcd_swap_encode(const struct etcd_swap *swap, struct buf *out)
{
	Handfast__Etcd__Compare compare = HANDFAST__ETCD__COMPARE__INIT, guard = HANDFAST__ETCD__COMPARE__INIT;
	Handfast__Etcd__Compare *compares[] = {&compare, &guard};
	Handfast__Etcd__RequestOp then = HANDFAST__ETCD__REQUEST_OP__INIT, *thens[] = {&then};
	Handfast__Etcd__RequestOp other = HANDFAST__ETCD__REQUEST_OP__INIT, *others[] = {&other};
	Handfast__Etcd__PutRequest put = HANDFAST__ETCD__PUT_REQUEST__INIT;
	Handfast__Etcd__DeleteRequest delete = HANDFAST__ETCD__DELETE_REQUEST__INIT;
	Handfast__Etcd__RangeRequest range = HANDFAST__ETCD__RANGE_REQUEST__INIT;
	Handfast__Etcd__TxnRequest message = HANDFAST__ETCD__TXN_REQUEST__INIT;
	compare.target = guard.target = COMPARE_MOD_REVISION;
	guard.key = pb_bytes(swap->guard);
	guard.mod_revision = (int64_t)swap->guard_version;
	compare.mod_revision = (int64_t)swap->expected;
	compare.key = put.key = delete.key = range.key = pb_bytes(swap->key);
	put.value = pb_bytes(swap->value);
	if (swap->value.ptr == NULL) {
		then.request_case = HANDFAST__ETCD__REQUEST_OP__REQUEST_DELETE_RANGE;
		then.delete_range = &delete;
	} else {
		then.request_case = HANDFAST__ETCD__REQUEST_OP__REQUEST_PUT;
		then.put = &put;
	}
	other.request_case = HANDFAST__ETCD__REQUEST_OP__REQUEST_RANGE;
	other.range = &range;
	message.n_compare = swap->guard.len > 0 ? 2 : 1;
	message.n_success = message.n_failure = 1;
	message.compare = compares;
	message.success = thens;
	message.failure = others;
	return pb_pack(&message.base, out);
}

enum err etcd_watch_encode(struct span prefix, struct span end, uint64_t start, struct buf *out)
{
	Handfast__Etcd__WatchCreate create = HANDFAST__ETCD__WATCH_CREATE__INIT;
	Handfast__Etcd__WatchRequest message = HANDFAST__ETCD__WATCH_REQUEST__INIT;
	create.key = pb_bytes(prefix);
	create.range_end = pb_bytes(end);
	create.start_revision = (int64_t)start;
	create.fragment = true;
	message.request_case = HANDFAST__ETCD__WATCH_REQUEST__REQUEST_CREATE;
	message.create = &create;
	return pb_pack(&message.base, out);
}

enum err etcd_progress_encode(struct buf *out)
{
	Handfast__Etcd__WatchProgress progress = HANDFAST__ETCD__WATCH_PROGRESS__INIT;
	Handfast__Etcd__WatchRequest message = HANDFAST__ETCD__WATCH_REQUEST__INIT;
	message.request_case = HANDFAST__ETCD__WATCH_REQUEST__REQUEST_PROGRESS;
	message.progress = &progress;
	return pb_pack(&message.base, out);
}

enum err etcd_login_encode(struct span user, struct span password, struct buf *out)
{
	Handfast__Etcd__AuthenticateRequest message = HANDFAST__ETCD__AUTHENTICATE_REQUEST__INIT;
	message.name = pb_bytes(user);
	message.password = pb_bytes(password);
	return pb_pack(&message.base, out);
}

/* --- answers --- */

static enum err take_head(const Handfast__Etcd__Header *header, struct etcd_answer *out, struct why *why)
{
	if (header == NULL || header->cluster_id == 0 || header->revision <= 0)
		return why_set(why, ERR_MALFORMED, "an answer of etcd with cluster and revision",
			"check that store.etcd.endpoints are those of etcd", "an answer has no cluster or revision");
	out->head = (struct etcd_head){header->cluster_id, (uint64_t)header->revision};
	return ERR_NONE;
}

static enum err take_record(
	const Handfast__Etcd__KeyValue *kv, bool is_removal, etcd_record_fn *on_record, void *arg, struct why *why)
{
	if (kv == NULL || kv->key.len == 0 || kv->mod_revision <= 0)
		return why_set(why, ERR_MALFORMED, "a record of etcd with key and revision",
			"check that store.etcd.endpoints are those of etcd", "a record has no key or revision");
	struct etcd_record record = {.key = pb_span(kv->key), .version = (uint64_t)kv->mod_revision};
	if (!is_removal) /* protobuf-c gives an empty value as NULL */
		record.value = kv->value.data == NULL ? SPAN_LITERAL("") : pb_span(kv->value);
	on_record(arg, &record);
	return ERR_NONE;
}

static enum err take_range(
	const Handfast__Etcd__RangeResponse *range, etcd_record_fn *on_record, void *arg, struct why *why)
{
	for (size_t i = 0; i < range->n_kvs; i++)
		RETURN_IF_ERR(take_record(range->kvs[i], false, on_record, arg, why));
	return ERR_NONE;
}

enum err etcd_range_parse(
	struct span message, etcd_record_fn *on_record, void *arg, struct etcd_answer *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	struct etcd_answer answer = {0};
	RETURN_IF_ERR(pb_unpack(&handfast__etcd__range_response__descriptor, message, &arena, &unpacked, why));
	const Handfast__Etcd__RangeResponse *range = (const Handfast__Etcd__RangeResponse *)unpacked;
	RETURN_IF_ERR(take_head(range->header, &answer, why));
	RETURN_IF_ERR(take_range(range, on_record, arg, why));
	answer.has_more = range->more;
	*out = answer;
	return ERR_NONE;
}

enum err etcd_swap_parse(
	struct span message, etcd_record_fn *on_present, void *arg, struct etcd_answer *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	struct etcd_answer answer = {0};
	RETURN_IF_ERR(pb_unpack(&handfast__etcd__txn_response__descriptor, message, &arena, &unpacked, why));
	const Handfast__Etcd__TxnResponse *txn = (const Handfast__Etcd__TxnResponse *)unpacked;
	RETURN_IF_ERR(take_head(txn->header, &answer, why));
	answer.has_happened = txn->succeeded;
	for (size_t i = 0; !txn->succeeded && i < txn->n_responses; i++)
		if (txn->responses[i]->response_case == HANDFAST__ETCD__RESPONSE_OP__RESPONSE_RANGE)
			RETURN_IF_ERR(take_range(txn->responses[i]->range, on_present, arg, why));
	*out = answer;
	return ERR_NONE;
}

enum err etcd_watch_parse(
	struct span message, etcd_record_fn *on_event, void *arg, struct etcd_answer *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	struct etcd_answer answer = {0};
	RETURN_IF_ERR(pb_unpack(&handfast__etcd__watch_response__descriptor, message, &arena, &unpacked, why));
	const Handfast__Etcd__WatchResponse *watch = (const Handfast__Etcd__WatchResponse *)unpacked;
	RETURN_IF_ERR(take_head(watch->header, &answer, why));
	for (size_t i = 0; i < watch->n_events; i++)
		RETURN_IF_ERR(
			take_record(watch->events[i]->kv, watch->events[i]->type == EVENT_DELETE, on_event, arg, why));
	answer.was_canceled = watch->canceled;
	answer.is_fragment = watch->fragment;
	answer.compacted = watch->compact_revision > 0 ? (uint64_t)watch->compact_revision : 0;
	snprintf(answer.reason, sizeof answer.reason, "%s", watch->cancel_reason == NULL ? "" : watch->cancel_reason);
	*out = answer;
	return ERR_NONE;
}

enum err etcd_login_parse(struct span message, struct buf *out_token, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	RETURN_IF_ERR(pb_unpack(&handfast__etcd__authenticate_response__descriptor, message, &arena, &unpacked, why));
	struct span token = pb_span(((const Handfast__Etcd__AuthenticateResponse *)unpacked)->token);
	bool is_printable = token.len > 0;
	for (size_t i = 0; i < token.len; i++)
		is_printable = is_printable && token.ptr[i] > ' ' && token.ptr[i] < 0x7f;
	if (!is_printable)
		return why_set(why, ERR_MALFORMED, "a token that a header can carry",
			"check that store.etcd.endpoints are those of etcd", "etcd gave no usable token");
	return buf_append(out_token, token);
}
