/* One change on its way to etcd, until its answer is certain. The same transaction is sent again as often as needed: at
 * most one of the tries can succeed, for each one compares the version. */
#include "base/core/check.h"
#include "base/core/hex.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "control/store/etcd/store_etcd_private.h"

enum {
	/* For all tries, and since etcd has answered last: an election takes 1 to 2 s, and a renewal waits for this. */
	CHANGE_MS = 3000,
	ASKED_EACH_MS = 500, /* whether it answers (etcd_follow.c) */
	QUICK_MS = 300,      /* in a longer outage, or where an operator has to act first */
	TRY_MS = 800,        /* then the same is sent again: a leader that is lost may have taken it along */
	AGAIN_MS = 100,      /* after an answer that settles nothing */
	REQUEST_MAX = 2 * STORE_VALUE_MAX,
};

struct pending {
	struct list_link link;
	struct etcd_store *etcd;
	struct store_change *change;
	struct rpc_call *call; /* NULL: waits for a connection, or for the next try */
	char writer[ETCD_WRITER_LEN];
	struct buf request;
	uint64_t least;          /* when it was sent */
	bool may_have_happened;  /* a try has had no answer */
	bool has_answer, is_own; /* is_own: the present record is this change's own work */
	struct etcd_answer answer;
	uint64_t present; /* version of the present record; 0: none */
	struct loop_timer deadline, again;
	struct why detail;
};

static void pending_free(struct pending *pending)
{
	loop_timer_stop(&pending->deadline);
	loop_timer_stop(&pending->again);
	list_remove(&pending->link);
	buf_done(&pending->request);
	store_change_free(pending->change);
	mem_free(pending);
}

static bool is_outdated(const struct etcd_store *etcd, const char *key, uint64_t version)
{
	const struct mirror_entry *known = mirror_find(&etcd->store.mirror, key);
	const struct mirror_entry *gone = mirror_find(&etcd->removed, key);
	return version <= etcd->watched || (known != NULL && known->version > version) ||
	       (gone != NULL && gone->version > version);
}

static void finish(struct pending *pending, enum err err, uint64_t version)
{
	struct etcd_store *etcd = pending->etcd;
	struct store_change *change = pending->change;
	struct why trouble = err == ERR_IO ? pending->detail : (struct why){0};
	CHECK(err == ERR_NONE || err == ERR_CONFLICT || err == ERR_IO);
	CHECK(err != ERR_NONE || version != 0);
	store_set_trouble(&etcd->store, &trouble, err == ERR_IO);
	change->err = err;
	change->version = version;
	loop_timer_stop(&pending->deadline); /* the callback may run the loop */
	if (err == ERR_NONE && is_outdated(etcd, change->key, version)) {
		/* The watch was faster, perhaps with what came after this change: that counts. */
		if (change->on_done != NULL)
			change->on_done(change->arg, err, version);
	} else {
		if (err == ERR_NONE && change->value.ptr == NULL)
			mirror_put(&etcd->removed, change->key, SPAN_LITERAL(""), version);
		store_settle(&etcd->store, change);
	}
	pending_free(pending);
}

/* --- one try --- */

static void send_change(struct pending *pending);

static void on_again(struct loop_timer *timer)
{
	send_change(container_of(timer, struct pending, again));
}

static void try_again(struct pending *pending)
{
	pending->may_have_happened = true;
	loop_timer_start(pending->etcd->store.loop, &pending->again, AGAIN_MS, on_again);
}

static void on_present(void *arg, const struct etcd_record *record)
{
	struct pending *pending = arg;
	struct span writer, value;
	pending->present = record->version;
	pending->is_own = etcd_value_parse(record->value, &writer, &value) == ERR_NONE &&
			  span_eq(writer, span_of_str(pending->writer));
	etcd_take_record(pending->etcd, record);
}

static void on_message(void *arg, struct rpc_call *call, struct span message)
{
	struct pending *pending = arg;
	(void)call;
	pending->present = 0;
	pending->is_own = false;
	pending->has_answer =
		etcd_swap_parse(message, on_present, pending, &pending->answer, &pending->detail) == ERR_NONE;
}

/* Its present record is of another change, or there is none: the mirror may not have it yet, and the caller decides by
 * the mirror. */
static void conflict(struct pending *pending)
{
	struct etcd_store *etcd = pending->etcd;
	const struct store_change *change = pending->change;
	const struct mirror_entry *known = mirror_find(&etcd->store.mirror, change->key);
	if (pending->present == 0 && known != NULL && known->version <= pending->answer.head.revision)
		store_apply(&etcd->store, change->key, span_of(NULL, 0), known->version);
	if (pending->present == 0) /* events of before that may still come */
		mirror_put(&etcd->removed, change->key, SPAN_LITERAL(""), pending->answer.head.revision);
	finish(pending, ERR_CONFLICT, 0);
}

static void judge(struct pending *pending)
{
	bool is_removal = pending->change->value.ptr == NULL;
	uint64_t revision = pending->answer.head.revision;
	bool has_removed =
		is_removal && pending->present == 0 && pending->may_have_happened; /* a try without an answer */
	if (pending->answer.has_happened || has_removed)
		finish(pending, ERR_NONE, revision);
	else if (!is_removal && pending->is_own)
		finish(pending, ERR_NONE, pending->present);
	else if (pending->present == pending->change->expected) { /* so it was the other comparison */
		etcd_note_replaced(pending->etcd);
		pending->detail = pending->etcd->replaced;
		finish(pending, ERR_IO, 0);
	} else
		conflict(pending);
}

/* What another try, at another member or with another token, would not change. */
static bool is_definite(enum rpc_status status, const char *message, enum etcd_refusal refusal)
{
	if (refusal == ETCD_REFUSAL_TOKEN)
		return false;
	if (status == RPC_RESOURCE_EXHAUSTED)
		return message == NULL || strstr(message, "too many requests") == NULL;
	return status == RPC_INVALID_ARGUMENT || status == RPC_PERMISSION_DENIED || status == RPC_UNAUTHENTICATED ||
	       status == RPC_FAILED_PRECONDITION || status == RPC_UNIMPLEMENTED;
}

static void on_done(
	void *arg, struct rpc_call *call, enum rpc_status status, const char *message, uint32_t retry_after_ms)
{
	struct pending *pending = arg;
	(void)call;
	(void)retry_after_ms;
	pending->call = NULL;
	if (status == RPC_OK && pending->has_answer) {
		if (etcd_accepts(pending->etcd, &pending->answer.head, pending->least))
			judge(pending);
		else {
			pending->detail = pending->etcd->detail;
			try_again(pending);
		}
		return;
	}
	enum etcd_refusal refusal =
		status == RPC_OK ? ETCD_REFUSAL_OTHER : etcd_refused(pending->etcd, status, message, &pending->detail);
	if (refusal == ETCD_REFUSAL_TOKEN)
		etcd_leave(pending->etcd, &pending->detail);
	if (is_definite(status, message, refusal)) {
		pending->detail.err = ERR_IO;
		finish(pending, ERR_IO, 0);
		return;
	}
	try_again(pending); /* etcd_follow.c leaves a member that is of no use */
}

static void send_change(struct pending *pending)
{
	static const struct rpc_call_handlers handlers = {on_message, on_done};
	struct etcd_store *etcd = pending->etcd;
	struct rpc_client *client = etcd_link_client(etcd->link);
	CHECK(pending->call == NULL);
	loop_timer_stop(&pending->again);
	pending->has_answer = false;
	pending->least = etcd->newest;
	if (client == NULL ||
		rpc_client_call(client, "/etcdserverpb.KV/Txn", TRY_MS, &handlers, pending, &pending->call) != ERR_NONE)
		return; /* etcd_send_changes() comes back to it */
	if (rpc_call_send(pending->call, buf_span(&pending->request)) == ERR_NONE)
		rpc_call_close_send(pending->call);
	else {
		rpc_call_cancel(TAKE_PTR(pending->call));
		loop_timer_start(etcd->store.loop, &pending->again, AGAIN_MS, on_again);
	}
}

static void on_deadline(struct loop_timer *timer)
{
	struct pending *pending = container_of(timer, struct pending, deadline);
	struct etcd_store *etcd = pending->etcd;
	if (pending->call != NULL)
		rpc_call_cancel(TAKE_PTR(pending->call));
	if (pending->detail.err == ERR_NONE)
		pending->detail = etcd->detail;
	if (etcd->detail.err == ERR_DENIED) /* of the login: newer than what a try has met */
		pending->detail = etcd->detail;
	else if (pending->detail.err != ERR_STATE_DAMAGED && etcd->replaced.err == ERR_NONE) {
		const struct why last = pending->detail;
		(void)why_set(&pending->detail, ERR_IO, "etcd with a majority of its members",
			"check etcd and the network to it: `etcdctl endpoint status --cluster`",
			"no member has stored the change: %s", last.err == ERR_NONE ? "none has answered" : last.got);
	}
	pending->detail.err = ERR_IO;
	etcd->has_no_majority = true;
	finish(pending, ERR_IO, 0);
}

/* --- all of them --- */

static enum err encode(struct pending *pending)
{
	const struct store_change *change = pending->change;
	_cleanup_(buf_done) struct buf value = BUF_INIT(STORE_VALUE_MAX + 64);
	_cleanup_(mem_freep) char *key = mem_printf(
		"%.*s%s", (int)pending->etcd->prefix.len, (const char *)pending->etcd->prefix.ptr, change->key);
	_cleanup_(mem_freep) char *guard = mem_printf(
		"%.*s" STORE_INCARNATION_KEY, (int)pending->etcd->prefix.len, (const char *)pending->etcd->prefix.ptr);
	struct etcd_swap swap = {.key = span_of_str(key), .expected = change->expected};
	if (pending->etcd->incarnation_version != 0) { /* one that slept during a restore changes nothing */
		swap.guard = span_of_str(guard);
		swap.guard_version = pending->etcd->incarnation_version;
	}
	if (change->value.ptr != NULL) {
		RETURN_IF_ERR(etcd_value_encode(pending->writer, change->value, &value));
		swap.value = buf_span(&value);
	}
	return etcd_swap_encode(&swap, &pending->request);
}

static uint32_t patience_ms(const struct etcd_store *etcd)
{
	uint64_t silent_ms = loop_now_ms(etcd->store.loop) - etcd->answered_ms;
	if (etcd->replaced.err != ERR_NONE)
		return 0;
	if (etcd->has_no_majority || etcd->is_denied || silent_ms > CHANGE_MS + ASKED_EACH_MS - QUICK_MS)
		return QUICK_MS;
	return silent_ms > ASKED_EACH_MS ? (uint32_t)(CHANGE_MS + ASKED_EACH_MS - silent_ms) : CHANGE_MS;
}

void etcd_swap(struct store *store, struct store_change *change)
{
	struct etcd_store *etcd = etcd_of(store);
	struct pending *pending = mem_new(struct pending);
	uint8_t mark[(ETCD_WRITER_LEN - 1) / 2];
	random_bytes(mark, sizeof mark);
	hex_format(span_of(mark, sizeof mark), pending->writer);
	pending->etcd = etcd;
	pending->change = change;
	buf_init(&pending->request, REQUEST_MAX);
	list_push_back(&etcd->pending, &pending->link);
	CHECK(encode(pending) == ERR_NONE); /* store_swap() has checked the lengths */
	pending->detail = etcd->replaced;
	loop_timer_start(store->loop, &pending->deadline, patience_ms(etcd), on_deadline);
	if (etcd->replaced.err == ERR_NONE)
		send_change(pending);
}

void etcd_send_changes(struct etcd_store *etcd)
{
	LIST_EACH(&etcd->pending, struct pending, pending, link)
		if (pending->call == NULL && etcd->replaced.err == ERR_NONE)
			send_change(pending);
}

void etcd_changes_lost(struct etcd_store *etcd)
{
	LIST_EACH(&etcd->pending, struct pending, pending, link) {
		pending->may_have_happened |= pending->call != NULL;
		pending->call = NULL;
	}
}

void etcd_drop_changes(struct etcd_store *etcd)
{
	LIST_EACH_REMOVABLE(&etcd->pending, struct pending, pending, link)
		pending_free(pending);
}
