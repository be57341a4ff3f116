#include "base/kube/kube_watch.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/json/json_read.h"
#include "base/kube/kube_watch_private.h"
#include <string.h>

enum {
	BACKOFF_FIRST_MS = 500,
	BACKOFF_MAX_MS = 30000,
	TIMEOUT_S = 300,           /* how long a watch lasts: this to twice this, so that they do not end together */
	PAGE_LEN = 500,            /* objects of a list at once */
	HEAD_MS = 60000,           /* until an answer begins */
	QUIET_MS = 2000,           /* an error comes at once: a watch without one so long works */
	SILENT_MS = 180000,        /* bookmarks come about each minute */
	INITIAL_SILENT_MS = 60000, /* within the whole state; and for all of a refusal */
	PROBE_TIMEOUT_MS = 10000,
	REFUSAL_MAX = 16 * 1024,
};

static struct loop *loop_of(const struct kube_watch *watch)
{
	return kube_client_loop(watch->client);
}

/* --- its memory --- */

static void watch_free(struct kube_watch *watch)
{
	split_done(&watch->split);
	buf_done(&watch->refusal);
	mem_free(watch->path);
	mem_free(watch->query);
	mem_free(watch->more);
	mem_free(watch);
}

void watch_enter(struct kube_watch *watch)
{
	watch->num_inside++;
}

void watch_leave(struct kube_watch *watch)
{
	CHECK(watch->num_inside > 0);
	if (--watch->num_inside == 0 && watch->is_stopped)
		watch_free(watch);
}

/* --- what is reported --- */

void watch_trouble(struct kube_watch *watch, const struct why *why)
{
	if (watch->is_stopped || (why->err == watch->trouble.err && strcmp(why->got, watch->trouble.got) == 0))
		return;
	watch->trouble = *why;
	watch->observer.on_trouble(watch->observer.arg, &watch->trouble);
}

void watch_healthy(struct kube_watch *watch)
{
	if (watch->is_stopped || watch->is_healthy)
		return;
	watch->is_healthy = true;
	backoff_reset(&watch->backoff);
	if (watch->trouble.err == ERR_NONE)
		return;
	watch->trouble = (struct why){0};
	watch->observer.on_trouble(watch->observer.arg, NULL);
}

/* --- the end of a stream, and the next --- */

static void close_stream(struct kube_watch *watch)
{
	loop_timer_stop(&watch->retry);
	loop_timer_stop(&watch->silence);
	kube_turn_end(&watch->turn);
	if (watch->stream != NULL)
		kube_stream_cancel(TAKE_PTR(watch->stream));
	if (watch->probe != NULL)
		kube_request_cancel(TAKE_PTR(watch->probe));
	watch->has_ended = false; /* what it sent and was not parsed yet goes with it */
	split_done(&watch->split);
}

static void open_stream(struct kube_watch *watch);

static void on_retry(struct loop_timer *timer)
{
	open_stream(container_of(timer, struct kube_watch, retry));
}

void watch_again(struct kube_watch *watch, uint64_t delay_ms)
{
	if (watch->is_stopped)
		return;
	close_stream(watch);
	if (delay_ms == 0)
		open_stream(watch);
	else
		loop_timer_start(loop_of(watch), &watch->retry, delay_ms, on_retry);
}

uint64_t watch_backoff_ms(struct kube_watch *watch)
{
	return 1 + backoff_next_ms(&watch->backoff, random_u32());
}

void watch_restart(struct kube_watch *watch)
{
	watch->version[0] = '\0';
	watch->has_begun = false;
	mem_free(TAKE_PTR(watch->more));
}

/* --- silence --- */

static void on_silence(struct loop_timer *timer);

static void watch_for_silence(struct kube_watch *watch)
{
	if (watch->status == 0)
		watch->silence_ms = HEAD_MS;
	else if (watch->mode != MODE_WATCH || watch->status != 200)
		watch->silence_ms = INITIAL_SILENT_MS;
	else
		watch->silence_ms = watch->is_healthy ? SILENT_MS : QUIET_MS;
	loop_timer_start(loop_of(watch), &watch->silence, watch->silence_ms, on_silence);
}

/* The answer to a list of one object: does the server still have what we have seen? */
static void judge_probe(struct kube_watch *watch, enum err err, const json_t *list, const struct why *why)
{
	char version[KUBE_VERSION_MAX];
	bool is_early = loop_timer_is_armed(&watch->silence);
	if (err != ERR_NONE && is_early) {
		watch->was_cut = true; /* to be asked again; where the connection is lost, the stream ends too */
	} else if (err != ERR_NONE) {
		watch_trouble(watch, why);
		watch_again(watch, watch_backoff_ms(watch));
	} else if (list != NULL && kube_version_of(list, version) == ERR_NONE &&
		   kube_version_is_before(version, watch->probed_version)) {
		struct why older = {0};
		(void)why_set(&older, ERR_STATE_DAMAGED, "the state that was there before",
			"none needed: it is read again", "the API server has version %s, and had %s: it was restored",
			version, watch->probed_version);
		watch_trouble(watch, &older);
		watch_restart(watch);
		watch_again(watch, 0);
	} else if (!is_early) {
		watch_again(watch, 0); /* bookmarks should have come: the stream may have been lost on the way */
	}
}

static void on_probed(void *arg, enum err err, const struct kube_response *response, const struct why *why)
{
	struct kube_watch *watch = arg;
	json_t *list = NULL;
	watch->probe = NULL;
	watch_enter(watch);
	if (err == ERR_NONE && response->status == 200)
		list = json_read(response->body, NULL);
	judge_probe(watch, err, list, why);
	json_decref(list);
	watch_leave(watch);
}

static void probe(struct kube_watch *watch)
{
	if (watch->probe != NULL)
		return;
	/* Events may come while it is under way, and be newer than the list. */
	memcpy(watch->probed_version, watch->version, sizeof(watch->probed_version));
	char *path = mem_printf("%s?%slimit=1", watch->path, watch->query);
	watch->probe = kube_request_start(watch->client,
		&(struct kube_request_options){.method = "GET", .path = path, .timeout_ms = PROBE_TIMEOUT_MS},
		on_probed, watch);
	mem_free(path);
}

/* A watch without an event. After a failure the server may be one that was restored: it would hold a watch from a
 * version that it has not reached yet, without an error. */
static void on_quiet_watch(struct kube_watch *watch)
{
	bool is_silent = watch->silence_ms == SILENT_MS;
	watch_healthy(watch);
	if (watch->is_stopped)
		return;
	if (is_silent || watch->was_cut)
		probe(watch);
	watch->was_cut = false;
	if (!is_silent)
		watch_for_silence(watch);
}

static void give_up(struct kube_watch *watch, const char *what)
{
	struct why why = {0};
	(void)why_set(&why, ERR_TIMEOUT, "an answer in time", "check the API server and the network to it",
		"the API server %s for %.90s", what, watch->path);
	watch_trouble(watch, &why);
	if (watch->version[0] == '\0' || watch->status == 410) /* Gone, also where its body does not end */
		watch_restart(watch);
	watch_again(watch, watch_backoff_ms(watch));
}

static void on_silence(struct loop_timer *timer)
{
	struct kube_watch *watch = container_of(timer, struct kube_watch, silence);
	watch_enter(watch);
	if (watch->status == 0 && watch->trouble.err != ERR_NONE) {
		watch_for_silence(watch); /* it waits for a connection, which is reported */
	} else if (watch->status == 0) {
		give_up(watch, "does not answer");
	} else if (watch->status == 200 && watch->mode == MODE_WATCH) {
		on_quiet_watch(watch);
	} else {
		/* A server that does not know sendInitialEvents refuses it, or does not mark the end of the state. */
		watch->uses_list = watch->mode != MODE_WATCH;
		give_up(watch, watch->status == 200 ? "stopped within the whole state" : "does not end its refusal");
	}
	watch_leave(watch);
}

/* --- the stream's events --- */

static void on_head(void *arg, const struct kube_head *head)
{
	struct kube_watch *watch = arg;
	watch->status = head->status;
	watch->retry_after_s = head->retry_after_s;
	watch_for_silence(watch);
}

static void on_bytes(void *arg, struct span bytes)
{
	struct kube_watch *watch = arg;
	if (watch->status != 200) {
		(void)!buf_append(&watch->refusal, bytes); /* what is longer is no Status */
		kube_stream_consumed(watch->stream, bytes.len);
		return; /* a refusal has its time from its header on, however slowly it comes */
	}
	watch_for_silence(watch);
	if (split_feed(&watch->split, bytes) == ERR_NONE) {
		kube_turn_due(kube_client_turns(watch->client), &watch->turn, watch_receive);
	} else { /* more than the window allows, which base/h2 refuses before */
		watch_enter(watch);
		watch_broken(watch, ERR_TOO_LARGE);
		watch_leave(watch);
	}
}

static void on_end(void *arg, enum err err, const struct why *why)
{
	struct kube_watch *watch = arg;
	watch->stream = NULL;
	watch->has_ended = true;
	if (err != ERR_NONE)
		watch->end = *why;
	watch->was_cut = err != ERR_NONE;
	loop_timer_stop(&watch->silence);
	kube_turn_due(kube_client_turns(watch->client), &watch->turn, watch_receive);
}

static void on_wait(void *arg, const struct why *why)
{
	struct kube_watch *watch = arg;
	watch->was_cut = true;
	watch_enter(watch);
	watch_trouble(watch, why);
	watch_leave(watch);
}

static void on_drop(void *arg)
{
	(void)arg;
	CHECK_UNREACHABLE(); /* watches are stopped before their client is freed */
}

static char *path_of(const struct kube_watch *watch)
{
	const char *path = watch->path, *query = watch->query;
	unsigned timeout_s = TIMEOUT_S + random_u32() % TIMEOUT_S;
	switch (watch->mode) {
	case MODE_WATCH_LIST:
		return mem_printf("%s?%swatch=1&allowWatchBookmarks=true&sendInitialEvents=true"
				  "&resourceVersionMatch=NotOlderThan&timeoutSeconds=%u",
			path, query, timeout_s);
	case MODE_LIST:
		if (watch->more != NULL)
			return mem_printf("%s?%slimit=%u&continue=%s", path, query, (unsigned)PAGE_LEN, watch->more);
		return mem_printf("%s?%slimit=%u", path, query, (unsigned)PAGE_LEN);
	case MODE_WATCH:
		return mem_printf("%s?%swatch=1&allowWatchBookmarks=true&resourceVersion=%s&timeoutSeconds=%u", path,
			query, watch->version, timeout_s);
	}
	CHECK_UNREACHABLE();
}

static void open_stream(struct kube_watch *watch)
{
	static const struct kube_stream_events events = {on_head, on_bytes, on_end, on_wait, on_drop};
	CHECK(watch->stream == NULL && watch->probe == NULL && !watch->is_stopped);
	if (watch->version[0] != '\0')
		watch->mode = MODE_WATCH;
	else
		watch->mode = watch->uses_list ? MODE_LIST : MODE_WATCH_LIST;
	split_init(&watch->split, KUBE_STREAM_WINDOW);
	buf_clear(&watch->refusal);
	watch->status = 0;
	watch->has_ended = watch->is_healthy = false;
	watch->end = (struct why){0};
	char *path = path_of(watch);
	watch->stream = kube_stream_open(
		watch->client, &(struct kube_stream_options){.method = "GET", .path = path}, &events, watch);
	mem_free(path);
	watch_for_silence(watch);
}

/* --- public functions --- */

struct kube_watch *kube_watch_start(struct kube_client *client, const struct kube_watch_options *options,
	const struct kube_watch_observer *observer)
{
	CHECK(observer->on_begin != NULL && observer->on_object != NULL);
	CHECK(observer->on_synced != NULL && observer->on_trouble != NULL);
	struct kube_watch *watch = mem_new(struct kube_watch);
	watch->client = client;
	watch->path = mem_strdup(options->path);
	watch->query = options->query != NULL ? mem_printf("%s&", options->query) : mem_strdup("");
	watch->observer = *observer;
	buf_init(&watch->refusal, REFUSAL_MAX);
	backoff_init(&watch->backoff, BACKOFF_FIRST_MS, BACKOFF_MAX_MS);
	open_stream(watch);
	return watch;
}

const char *kube_watch_version(const struct kube_watch *watch)
{
	return watch->version;
}

void kube_watch_stop(struct kube_watch *watch)
{
	CHECK(!watch->is_stopped);
	close_stream(watch);
	watch->is_stopped = true;
	watch_enter(watch);
	watch_leave(watch);
}
