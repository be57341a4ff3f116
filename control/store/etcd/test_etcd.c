#include "control/store/etcd/test_etcd.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "base/rpc/rpc_server.h"
#include "control/store/etcd/etcd_wire.h"
#include "proto/etcd/v3.pb-c.h"
#include <stdlib.h>
#include <string.h>

struct test_etcd test_etcd;

/* --- the records --- */

static struct test_etcd_record *find(struct span key)
{
	for (size_t i = test_etcd.num_records; i > 0; i--) { /* the newest one */
		struct test_etcd_record *record = &test_etcd.records[i - 1];
		if (span_eq(span_of_str(record->key), key))
			return record->is_removed ? NULL : record;
	}
	return NULL;
}

static struct test_etcd_record *append(struct span key, struct span value)
{
	CHECK(test_etcd.num_records < TEST_ETCD_RECORDS_MAX);
	struct test_etcd_record *record = &test_etcd.records[test_etcd.num_records++];
	*record = (struct test_etcd_record){.key = mem_printf("%.*s", (int)key.len, (const char *)key.ptr),
		.value = BUF_INIT(1 << 20),
		.version = ++test_etcd.revision,
		.is_removed = value.ptr == NULL};
	CHECK(buf_append(&record->value, value) == ERR_NONE);
	return record;
}

static Handfast__Etcd__Header header(void)
{
	Handfast__Etcd__Header header = HANDFAST__ETCD__HEADER__INIT;
	header.cluster_id = test_etcd.cluster;
	header.revision = (int64_t)test_etcd.revision;
	return header;
}

static Handfast__Etcd__KeyValue as_message(struct test_etcd_record *record)
{
	Handfast__Etcd__KeyValue kv = HANDFAST__ETCD__KEY_VALUE__INIT;
	kv.key = pb_bytes(span_of_str(record->key));
	kv.value = pb_bytes(buf_span(&record->value));
	kv.mod_revision = (int64_t)record->version;
	return kv;
}

static void answer(struct rpc_call *call, const ProtobufCMessage *message, bool is_last)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(TEST_ETCD_ANSWER_MAX);
	CHECK(pb_pack(message, &out) == ERR_NONE && rpc_call_send(call, buf_span(&out)) == ERR_NONE);
	if (is_last)
		rpc_call_finish(call, RPC_OK, NULL, 0);
}

/* --- the watch --- */

static void send_event(struct test_etcd_record *record)
{
	Handfast__Etcd__Header head = header();
	Handfast__Etcd__KeyValue kv = as_message(record);
	Handfast__Etcd__Event event = HANDFAST__ETCD__EVENT__INIT, *events[] = {&event};
	Handfast__Etcd__WatchResponse message = HANDFAST__ETCD__WATCH_RESPONSE__INIT;
	if (test_etcd.watch == NULL || test_etcd.is_watch_silent)
		return;
	event.type = record->is_removed;
	event.kv = &kv;
	message.header = &head;
	message.events = events;
	message.n_events = 1;
	answer(test_etcd.watch, &message.base, false);
}

static void begin_watch(struct rpc_call *call, uint64_t start)
{
	Handfast__Etcd__Header head = header();
	Handfast__Etcd__WatchResponse message = HANDFAST__ETCD__WATCH_RESPONSE__INIT;
	message.header = &head;
	message.created = true;
	if (start <= test_etcd.compacted) {
		message.canceled = true;
		message.compact_revision = (int64_t)test_etcd.compacted;
	}
	answer(call, &message.base, false);
	test_etcd.watch = message.canceled ? NULL : call;
	for (size_t i = 0; i < test_etcd.num_records; i++)
		if (test_etcd.records[i].version >= start)
			send_event(&test_etcd.records[i]);
}

static void on_watch(void *arg, struct rpc_call *call, struct span bytes)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	struct why why = {0};
	(void)arg;
	CHECK(pb_unpack(&handfast__etcd__watch_request__descriptor, bytes, &arena, &unpacked, &why) == ERR_NONE);
	const Handfast__Etcd__WatchRequest *request = (const Handfast__Etcd__WatchRequest *)unpacked;
	if (request->request_case == HANDFAST__ETCD__WATCH_REQUEST__REQUEST_CREATE) {
		CHECK(request->create->fragment);
		test_etcd.num_watches++;
		begin_watch(call, (uint64_t)request->create->start_revision);
	} else if (!test_etcd.is_watch_silent) {
		Handfast__Etcd__Header head = header();
		Handfast__Etcd__WatchResponse message = HANDFAST__ETCD__WATCH_RESPONSE__INIT;
		message.header = &head;
		answer(call, &message.base, false);
	}
}

/* --- questions --- */

static bool is_asked(const Handfast__Etcd__RangeRequest *request, struct test_etcd_record *record)
{
	struct span key = pb_span(request->key), end = pb_span(request->range_end);
	_cleanup_(mem_freep) char *from = mem_printf("%.*s", (int)key.len, (const char *)key.ptr);
	_cleanup_(mem_freep) char *to = mem_printf("%.*s", (int)end.len, (const char *)end.ptr);
	if (find(span_of_str(record->key)) != record)
		return false;
	if (end.len == 0)
		return strcmp(record->key, from) == 0;
	int order = strcmp(record->key, from); /* a key that ends in NUL is above its text */
	return (order > 0 || (order == 0 && strlen(from) == key.len)) && strcmp(record->key, to) < 0;
}

static int by_key(const void *a, const void *b)
{
	const struct test_etcd_record *const *one = a, *const *two = b;
	return strcmp((*one)->key, (*two)->key);
}

static void on_range(void *arg, struct rpc_call *call, struct span bytes)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	struct test_etcd_record *found[TEST_ETCD_RECORDS_MAX];
	Handfast__Etcd__KeyValue kvs[TEST_ETCD_RECORDS_MAX], *pointers[TEST_ETCD_RECORDS_MAX];
	Handfast__Etcd__Header head = header();
	Handfast__Etcd__RangeResponse message = HANDFAST__ETCD__RANGE_RESPONSE__INIT;
	ProtobufCMessage *unpacked;
	struct why why = {0};
	size_t num = 0;
	(void)arg;
	if (test_etcd.is_silent)
		return;
	if (test_etcd.refuses_ranges_with != RPC_OK) {
		rpc_call_finish(call, test_etcd.refuses_ranges_with, test_etcd.refusal, 0);
		return;
	}
	CHECK(pb_unpack(&handfast__etcd__range_request__descriptor, bytes, &arena, &unpacked, &why) == ERR_NONE);
	const Handfast__Etcd__RangeRequest *request = (const Handfast__Etcd__RangeRequest *)unpacked;
	test_etcd.num_ranges++;
	for (size_t i = 0; i < test_etcd.num_records; i++)
		if (is_asked(request, &test_etcd.records[i]))
			found[num++] = &test_etcd.records[i];
	qsort(found, num, sizeof found[0], by_key);
	message.more = request->limit > 0 && num > (size_t)request->limit;
	message.n_kvs = message.more ? (size_t)request->limit : num;
	for (size_t i = 0; i < message.n_kvs; i++) {
		kvs[i] = as_message(found[i]);
		pointers[i] = &kvs[i];
	}
	message.header = &head;
	message.kvs = pointers;
	answer(call, &message.base, true);
}

static void swap(const Handfast__Etcd__TxnRequest *request, struct rpc_call *call)
{
	Handfast__Etcd__TxnResponse message = HANDFAST__ETCD__TXN_RESPONSE__INIT;
	Handfast__Etcd__ResponseOp op = HANDFAST__ETCD__RESPONSE_OP__INIT, *ops[] = {&op};
	Handfast__Etcd__RangeResponse range = HANDFAST__ETCD__RANGE_RESPONSE__INIT;
	Handfast__Etcd__KeyValue kv, *kvs[] = {&kv};
	struct span key = pb_span(request->compare[0]->key);
	struct test_etcd_record *present = find(key), *fresh = NULL;
	uint64_t version = present == NULL ? 0 : present->version;
	message.succeeded = version == (uint64_t)request->compare[0]->mod_revision;
	if (request->n_compare > 1) {
		const struct test_etcd_record *guard = find(pb_span(request->compare[1]->key));
		message.succeeded = message.succeeded && guard != NULL &&
				    guard->version == (uint64_t)request->compare[1]->mod_revision;
	}
	if (message.succeeded) {
		const Handfast__Etcd__RequestOp *then = request->success[0];
		bool is_put = then->request_case == HANDFAST__ETCD__REQUEST_OP__REQUEST_PUT;
		fresh = append(key, is_put ? pb_span(then->put->value) : span_of(NULL, 0));
	} else if (present != NULL) {
		kv = as_message(present);
		range.kvs = kvs;
		range.n_kvs = 1;
	}
	Handfast__Etcd__Header head = header();
	message.header = range.header = &head;
	op.response_case = HANDFAST__ETCD__RESPONSE_OP__RESPONSE_RANGE;
	op.range = &range;
	message.responses = ops;
	message.n_responses = message.succeeded ? 0 : 1;
	if (test_etcd.loses_answer) {
		test_etcd.loses_answer = false;
		test_etcd_cut();
		return;
	}
	answer(call, &message.base, true);
	if (fresh != NULL)
		send_event(fresh);
}

static void on_swap(void *arg, struct rpc_call *call, struct span bytes)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	struct why why = {0};
	(void)arg;
	if (test_etcd.is_silent)
		return;
	test_etcd.num_swaps++;
	CHECK(pb_unpack(&handfast__etcd__txn_request__descriptor, bytes, &arena, &unpacked, &why) == ERR_NONE);
	if (test_etcd.refuses_with != RPC_OK)
		rpc_call_finish(call, test_etcd.refuses_with, test_etcd.refusal, 0);
	else
		swap((const Handfast__Etcd__TxnRequest *)unpacked, call);
}

/* --- the server --- */

static void on_start(void *arg, struct rpc_call *call, struct rpc_peer *peer)
{
	(void)peer;
	rpc_call_set_arg(call, arg);
}

static void on_done(void *arg, struct rpc_call *call)
{
	(void)arg;
	if (test_etcd.watch == call)
		test_etcd.watch = NULL;
}

static const struct rpc_method methods[] = {
	{"/etcdserverpb.KV/Range", true, 0, 0, NULL, on_start, on_range, NULL, on_done},
	{"/etcdserverpb.KV/Txn", true, 0, 0, NULL, on_start, on_swap, NULL, on_done},
	{"/etcdserverpb.Watch/Watch", false, 0, 0, NULL, on_start, on_watch, NULL, on_done},
};

void test_etcd_serve(struct loop *loop)
{
	if (test_etcd.server != NULL)
		rpc_server_free(test_etcd.server);
	test_etcd.watch = NULL;
	test_etcd.server = rpc_server_new(&(struct rpc_server_options){.loop = loop,
		.methods = methods,
		.num_methods = 3,
		.arg = &test_etcd,
		.send_queue_max = TEST_ETCD_ANSWER_MAX});
}

void test_etcd_begin(void)
{
	test_etcd = (struct test_etcd){.cluster = 7, .revision = 1, .is_logged_in = true};
}

void test_etcd_forget_newest(size_t num)
{
	CHECK(num <= test_etcd.num_records);
	for (size_t i = 0; i < num; i++) {
		struct test_etcd_record *record = &test_etcd.records[--test_etcd.num_records];
		mem_free(record->key);
		buf_done(&record->value);
	}
}

void test_etcd_end(void)
{
	test_etcd_forget_newest(test_etcd.num_records);
}

void test_etcd_put(const char *key, const char *value)
{
	_cleanup_(buf_done) struct buf stored = BUF_INIT(1 << 20);
	if (value != NULL)
		CHECK(etcd_value_encode("00000000000000000000000000000000", span_of_str(value), &stored) == ERR_NONE);
	send_event(append(span_of_str(key), value == NULL ? span_of(NULL, 0) : buf_span(&stored)));
}
