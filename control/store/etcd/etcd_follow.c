/* The state, page by page at one revision; then the watch from there. And once per half a second the question whether
 * the member still has a majority, and whether its watch still answers: a member that is stopped or cut off is left. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/store/etcd/store_etcd_private.h"
#include <inttypes.h>

enum {
	PAGE = 200, /* records: of the largest size they fit the link's largest message */
	PAGE_MS = 5000,
	PROBE_MS = 500,   /* between a member's answer and the next question */
	ANSWER_MS = 1000, /* a member that is stopped, or has no majority, does not answer in time */
	STALL_MS = 3000,  /* the watch is asked with each question, and silent for longer */
	REQUEST_MAX = 8192,
};

void etcd_leave(struct etcd_store *etcd, const struct why *why)
{
	etcd->detail = *why;
	etcd_link_leave(etcd->link, why);
}

enum etcd_refusal etcd_refused(
	const struct etcd_store *etcd, enum rpc_status status, const char *message, struct why *out)
{
	const struct etcd_members *members = etcd->options.members;
	const struct etcd_who who = {members->user, etcd->options.prefix, members->password_file};
	enum etcd_refusal refusal = etcd_refusal_of(status, message);
	etcd_refusal_why(status, message, &who, out);
	/* Its authentication was off at the login, and is on now. */
	if ((refusal == ETCD_REFUSAL_PERMISSION || refusal == ETCD_REFUSAL_NO_USER) &&
		!etcd_link_is_logged_in(etcd->link)) {
		refusal = ETCD_REFUSAL_TOKEN;
		out->err = ERR_EXPIRED;
	}
	return refusal;
}

bool etcd_accepts(struct etcd_store *etcd, const struct etcd_head *head, uint64_t least)
{
	struct why why = {0};
	if (etcd->cluster == 0)
		etcd->cluster = head->cluster;
	if (head->cluster != etcd->cluster)
		why_set(&why, ERR_STATE_DAMAGED, "members of one etcd", "correct store.etcd.endpoints",
			"this member is of cluster %" PRIx64 ", and the store is in cluster %" PRIx64, head->cluster,
			etcd->cluster);
	else if (head->revision < least)
		why_set(&why, ERR_STATE_DAMAGED, "a revision that never goes back",
			"stop all control planes, then run `handfast-control restore` on one of them",
			"etcd was restored from a backup: it answers with revision %" PRIu64 " after %" PRIu64,
			head->revision, least);
	if (why.err != ERR_NONE) {
		if (!etcd->is_refused)
			log_why(LOG_LEVEL_ERROR, "store", "this etcd is not used", &why);
		etcd->is_refused = true;
		etcd_leave(etcd, &why);
		return false;
	}
	etcd->is_refused = false;
	if (head->revision > etcd->newest)
		etcd->newest = head->revision;
	return true;
}

static enum err open_call(struct etcd_store *etcd, const char *path, uint32_t deadline_ms,
	const struct rpc_call_handlers *handlers, const struct buf *request, struct rpc_call **out)
{
	struct rpc_client *client = etcd_link_client(etcd->link);
	if (client == NULL)
		return ERR_UNAVAILABLE;
	RETURN_IF_ERR(rpc_client_call(client, path, deadline_ms, handlers, etcd, out));
	return rpc_call_send(*out, buf_span(request));
}

static void failed(struct etcd_store *etcd, enum rpc_status status, const char *message)
{
	struct why why = {0};
	(void)etcd_refused(etcd, status, message, &why);
	etcd_leave(etcd, &why);
}

/* An answer that is no protobuf: the call ends, and so does the use of this member. */
static void malformed(struct etcd_store *etcd, const struct why *why)
{
	log_why(LOG_LEVEL_WARNING, "store", "an answer of etcd cannot be used", why);
	etcd_leave(etcd, why);
}

/* --- the watch --- */

static void on_stall(struct loop_timer *timer)
{
	struct etcd_store *etcd = container_of(timer, struct etcd_store, stall);
	struct why why = {0};
	(void)why_set(&why, ERR_TIMEOUT, "a watch that answers within 3 s", "none: another member is asked",
		"the watch of etcd's records is stalled");
	etcd_leave(etcd, &why);
}

static void on_event(void *arg, const struct etcd_record *record)
{
	struct etcd_store *etcd = arg;
	if (record->version > etcd->newest_event)
		etcd->newest_event = record->version;
	etcd_take_record(etcd, record);
}

static void start_list(struct etcd_store *etcd);

static void canceled(struct etcd_store *etcd, const struct etcd_answer *answer)
{
	rpc_call_cancel(TAKE_PTR(etcd->watch));
	loop_timer_stop(&etcd->stall);
	if (answer->compacted > 0) {
		log_notice("store", "etcd has compacted revision %" PRIu64 ": its records are read again",
			etcd->watched + 1);
		etcd->must_list = true;
		start_list(etcd);
	} else
		failed(etcd, RPC_UNAVAILABLE, answer->reason);
}

static void on_watch_message(void *arg, struct rpc_call *call, struct span message)
{
	struct etcd_store *etcd = arg;
	struct etcd_answer answer;
	struct why why = {0};
	(void)call;
	loop_timer_stop(&etcd->stall);
	if (etcd_watch_parse(message, on_event, etcd, &answer, &why) != ERR_NONE) {
		malformed(etcd, &why);
		return;
	}
	if (answer.was_canceled)
		canceled(etcd, &answer);
	else if (!answer.is_fragment && etcd->newest_event > 0)
		etcd_note_watched(etcd, etcd->newest_event);
}

static void on_watch_done(
	void *arg, struct rpc_call *call, enum rpc_status status, const char *message, uint32_t retry_after_ms)
{
	struct etcd_store *etcd = arg;
	(void)call;
	(void)retry_after_ms;
	etcd->watch = NULL;
	loop_timer_stop(&etcd->stall);
	failed(etcd, status, message);
}

static void start_watch(struct etcd_store *etcd)
{
	static const struct rpc_call_handlers handlers = {on_watch_message, on_watch_done};
	_cleanup_(buf_done) struct buf request = BUF_INIT(REQUEST_MAX);
	CHECK(etcd->watch == NULL && etcd->is_synced);
	etcd->newest_event = 0;
	CHECK(etcd_watch_encode(etcd->prefix, etcd->end, etcd->watched + 1, &request) == ERR_NONE);
	if (open_call(etcd, "/etcdserverpb.Watch/Watch", 0, &handlers, &request, &etcd->watch) != ERR_NONE)
		failed(etcd, RPC_UNAVAILABLE, "no watch could be opened");
}

/* --- the state --- */

static void on_listed_record(void *arg, const struct etcd_record *record)
{
	struct etcd_store *etcd = arg;
	etcd_note_seen(etcd, record);
	buf_clear(&etcd->next_key); /* the smallest key after this one */
	if (buf_append(&etcd->next_key, record->key) != ERR_NONE ||
		buf_append(&etcd->next_key, span_of("", 1)) != ERR_NONE)
		buf_clear(&etcd->next_key);
}

static void on_list_message(void *arg, struct rpc_call *call, struct span message)
{
	struct etcd_store *etcd = arg;
	struct why why = {0};
	(void)call;
	if (etcd_range_parse(message, on_listed_record, etcd, &etcd->answer, &why) != ERR_NONE)
		malformed(etcd, &why);
	else
		etcd->has_answer = true;
}

static void list_page(struct etcd_store *etcd);

static void on_list_done(
	void *arg, struct rpc_call *call, enum rpc_status status, const char *message, uint32_t retry_after_ms)
{
	struct etcd_store *etcd = arg;
	(void)call;
	(void)retry_after_ms;
	etcd->list = NULL;
	if (status != RPC_OK || !etcd->has_answer) {
		failed(etcd, status, message);
		return;
	}
	if (!etcd_accepts(etcd, &etcd->answer.head, etcd->list_least))
		return;
	if (etcd->listed == 0)
		etcd->listed = etcd->answer.head.revision;
	if (etcd->answer.has_more && buf_len(&etcd->next_key) == 0) {
		failed(etcd, RPC_INTERNAL, "a key below store.etcd.prefix is longer than the store's");
		return;
	}
	if (etcd->answer.has_more) {
		list_page(etcd);
		return;
	}
	etcd_take_state(etcd);
	etcd->is_synced = true;
	etcd->must_list = false;
	start_watch(etcd);
	if (etcd->is_opening)
		loop_stop(etcd->store.loop);
}

static void list_page(struct etcd_store *etcd)
{
	static const struct rpc_call_handlers handlers = {on_list_message, on_list_done};
	_cleanup_(buf_done) struct buf request = BUF_INIT(REQUEST_MAX);
	const struct etcd_range range = {
		.key = buf_span(&etcd->next_key), .end = etcd->end, .revision = etcd->listed, .limit = PAGE};
	CHECK(etcd->list == NULL && etcd_range_encode(&range, &request) == ERR_NONE);
	etcd->has_answer = false;
	etcd->list_least = etcd->newest;
	if (open_call(etcd, "/etcdserverpb.KV/Range", PAGE_MS, &handlers, &request, &etcd->list) != ERR_NONE)
		failed(etcd, RPC_UNAVAILABLE, "no request could be sent");
	else
		rpc_call_close_send(etcd->list);
}

static void start_list(struct etcd_store *etcd)
{
	mirror_done(&etcd->seen);
	etcd->listed = 0;
	buf_clear(&etcd->next_key);
	CHECK(buf_append(&etcd->next_key, etcd->prefix) == ERR_NONE);
	list_page(etcd);
}

/* --- the question --- */

static void ask_watch(struct etcd_store *etcd)
{
	_cleanup_(buf_done) struct buf request = BUF_INIT(64);
	if (etcd->watch == NULL || loop_timer_is_armed(&etcd->stall))
		return;
	CHECK(etcd_progress_encode(&request) == ERR_NONE);
	if (rpc_call_send(etcd->watch, buf_span(&request)) == ERR_NONE)
		loop_timer_start(etcd->store.loop, &etcd->stall, STALL_MS, on_stall);
}

static void ignore(void *arg, const struct etcd_record *record)
{
	(void)arg;
	(void)record;
}

static void on_probe_message(void *arg, struct rpc_call *call, struct span message)
{
	struct etcd_store *etcd = arg;
	struct etcd_answer answer;
	struct why why = {0};
	(void)call;
	if (etcd_range_parse(message, ignore, NULL, &answer, &why) != ERR_NONE)
		malformed(etcd, &why);
	else if (etcd_accepts(etcd, &answer.head, etcd->probe_least)) {
		etcd_link_is_useful(etcd->link);
		if (etcd->is_down)
			log_notice("store", "etcd answers again");
		etcd->detail = (struct why){0};
		if (etcd->replaced.err == ERR_NONE) /* else what it has is not this process's state */
			etcd->answered_ms = loop_now_ms(etcd->store.loop);
		etcd->is_down = etcd->is_denied = etcd->has_no_majority = false;
		ask_watch(etcd);
	}
}

static void on_next_probe(struct loop_timer *timer);

static void on_probe_done(
	void *arg, struct rpc_call *call, enum rpc_status status, const char *message, uint32_t retry_after_ms)
{
	struct etcd_store *etcd = arg;
	(void)call;
	(void)retry_after_ms;
	etcd->probe = NULL;
	if (status == RPC_OK)
		loop_timer_start(etcd->store.loop, &etcd->next_probe, PROBE_MS, on_next_probe);
	else
		failed(etcd, status, message);
}

static void send_probe(struct etcd_store *etcd)
{
	static const struct rpc_call_handlers handlers = {on_probe_message, on_probe_done};
	_cleanup_(buf_done) struct buf request = BUF_INIT(REQUEST_MAX);
	const struct etcd_range range = {.key = etcd->prefix};
	CHECK(etcd->probe == NULL && etcd_range_encode(&range, &request) == ERR_NONE);
	etcd->probe_least = etcd->newest;
	if (open_call(etcd, "/etcdserverpb.KV/Range", ANSWER_MS, &handlers, &request, &etcd->probe) != ERR_NONE)
		failed(etcd, RPC_UNAVAILABLE, "no request could be sent");
	else
		rpc_call_close_send(etcd->probe);
}

static void on_next_probe(struct loop_timer *timer)
{
	send_probe(container_of(timer, struct etcd_store, next_probe));
}

void etcd_follow_start(struct etcd_store *etcd)
{
	CHECK(etcd->list == NULL && etcd->watch == NULL && etcd->probe == NULL);
	send_probe(etcd);
	if (etcd->is_synced && !etcd->must_list)
		start_watch(etcd);
	else
		start_list(etcd);
}

void etcd_follow_stop(struct etcd_store *etcd)
{
	etcd->list = etcd->watch = etcd->probe = NULL;
	loop_timer_stop(&etcd->next_probe);
	loop_timer_stop(&etcd->stall);
}
