/* What a watch makes of the bytes that it receives: objects and versions for its observer, and what to do at an error
 * or an end. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/json/json_read.h"
#include "base/kube/kube_status.h"
#include "base/kube/kube_watch_private.h"
#include <string.h>

enum { MORE_MAX = 4096 }; /* bytes of a "continue" */

#define VERBS "\"list\", \"watch\""

/* --- objects --- */

static void begin(struct kube_watch *watch)
{
	if (watch->has_begun)
		return;
	watch->has_begun = true;
	watch->observer.on_begin(watch->observer.arg);
}

static void deliver(struct kube_watch *watch, enum kube_event event, const json_t *object)
{
	if (watch->version[0] == '\0')
		begin(watch);
	if (!watch->is_stopped)
		watch->observer.on_object(watch->observer.arg, event, object);
}

/* The whole state has come. */
static void complete(struct kube_watch *watch, const char version[KUBE_VERSION_MAX])
{
	begin(watch); /* it may be empty */
	if (watch->is_stopped)
		return;
	memcpy(watch->version, version, KUBE_VERSION_MAX);
	watch->has_begun = watch->uses_list = false;
	if (watch->mode == MODE_WATCH_LIST)
		watch->mode = MODE_WATCH; /* changes follow on the same stream */
	watch->observer.on_synced(watch->observer.arg);
	watch_healthy(watch);
}

/* --- refusals: an HTTP status, or an event of type ERROR --- */

/* What an operator must mend. */
static bool is_for_operator(unsigned status)
{
	return status == 401 || status == 403 || status == 404;
}

static bool is_passing(unsigned status)
{
	return status == 429 || status == 503 || status == 504;
}

static uint64_t delay_of(struct kube_watch *watch, uint32_t retry_after_s)
{
	if (retry_after_s > 0)
		return retry_after_s * 1000u + random_u32() % 1000;
	return watch_backoff_ms(watch);
}

static void refused(struct kube_watch *watch, unsigned status, uint32_t retry_after_s, const struct why *why)
{
	bool was_healthy = watch->is_healthy;
	if (status == 410) { /* the version is gone: of the watch, or between two pages */
		watch_restart(watch);
		watch_again(watch, was_healthy ? 0 : watch_backoff_ms(watch));
		return;
	}
	if (watch->mode == MODE_WATCH_LIST && !is_for_operator(status) && !is_passing(status)) {
		watch->uses_list = true; /* 422: the gate is off; an ERROR 500: the store is too old */
		watch_restart(watch);
		watch_again(watch, 0);
		return;
	}
	if (!was_healthy || is_for_operator(status))
		watch_trouble(watch, why);
	if (watch->version[0] == '\0')
		watch_restart(watch);
	watch_again(watch, delay_of(watch, retry_after_s));
}

/* --- the stream is broken: what it sent cannot be used --- */

static void broken(struct kube_watch *watch, const struct why *why)
{
	watch_trouble(watch, why);
	if (watch->version[0] == '\0')
		watch_restart(watch);
	watch_again(watch, watch_backoff_ms(watch));
}

void watch_broken(struct kube_watch *watch, enum err err)
{
	struct why why = {0};
	if (err == ERR_TOO_LARGE)
		(void)why_set(&why, err, "objects of at most 10 MiB", "find out what writes so large an object",
			"the API server sent an object of more than %d bytes for %.90s", SPLIT_OBJECT_MAX, watch->path);
	else
		(void)why_set(&why, err, "a list of objects", "check that this is the API server",
			"the API server sent something else for %.90s", watch->path);
	broken(watch, &why);
}

/* --- lines --- */

static void on_error_event(struct kube_watch *watch, const struct watch_event *event)
{
	struct why why = {0};
	(void)why_set(&why, ERR_UNAVAILABLE, "a watch", "see the API server's log",
		"the API server ended the watch of %.90s with code %u: %.100s", watch->path, event->code,
		event->message);
	refused(watch, event->code, event->retry_after_s, &why);
}

static void on_event(struct kube_watch *watch, const struct watch_event *event)
{
	bool is_initial = watch->version[0] == '\0';
	switch (event->type) {
	case WATCH_ERROR:
		on_error_event(watch, event);
		return;
	case WATCH_BOOKMARK:
		if (is_initial && event->ends_initial_events)
			complete(watch, event->version);
		if (is_initial)
			return;
		break;
	case WATCH_ADDED:
	case WATCH_MODIFIED:
		deliver(watch, KUBE_PUT, event->object);
		break;
	case WATCH_DELETED:
		deliver(watch, KUBE_DELETED, event->object);
		break;
	}
	if (is_initial || watch->is_stopped)
		return;
	memcpy(watch->version, event->version, KUBE_VERSION_MAX);
	watch_healthy(watch);
}

static void on_line(struct kube_watch *watch, struct span line)
{
	struct watch_event event = {0};
	struct why why = {0};
	if (watch_event_parse(line, &event, &why) == ERR_NONE)
		on_event(watch, &event);
	else
		broken(watch, &why);
	watch_event_done(&event);
}

static void on_item(struct kube_watch *watch, struct span item)
{
	json_t *object = json_read(item, NULL);
	if (object != NULL)
		deliver(watch, KUBE_PUT, object);
	else
		watch_broken(watch, ERR_MALFORMED);
	json_decref(object);
}

/* --- the end of a stream --- */

/* base64url has no byte that a query must encode but the padding; any other byte is encoded too. */
static char *percent_encode(const char *text)
{
	static const char plain[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~";
	_cleanup_(buf_done) struct buf out = BUF_INIT(3 * MORE_MAX);
	for (; *text != '\0'; text++)
		CHECK((strchr(plain, *text) != NULL
				      ? buf_append(&out, span_of(text, 1))
				      : buf_printf(&out, "%%%02X", (unsigned)(uint8_t)*text)) == ERR_NONE);
	return mem_strdup(buf_cstr(&out));
}

static void on_page(struct kube_watch *watch)
{
	struct span text;
	char version[KUBE_VERSION_MAX];
	json_t *list = NULL;
	if (split_list(&watch->split, &text) == ERR_NONE)
		list = json_read(text, NULL);
	const char *more = json_string_value(json_object_get(json_object_get(list, "metadata"), "continue"));
	if (list == NULL || kube_version_of(list, version) != ERR_NONE || (more != NULL && strlen(more) > MORE_MAX)) {
		watch_broken(watch, ERR_MALFORMED);
		json_decref(list);
		return;
	}
	mem_free(TAKE_PTR(watch->more));
	if (more != NULL && more[0] != '\0')
		watch->more = percent_encode(more);
	else
		complete(watch, version);
	json_decref(list);
	watch_again(watch, 0); /* the next page, or the changes since */
}

static void on_stream_end(struct kube_watch *watch)
{
	if (watch->status != 0 && watch->status != 200) {
		struct why why = {0};
		(void)kube_status_explain(watch->status, buf_span(&watch->refusal), watch->path, VERBS, &why);
		refused(watch, watch->status, watch->retry_after_s, &why);
		return;
	}
	if (watch->mode == MODE_LIST && watch->end.err == ERR_NONE) {
		on_page(watch);
		return;
	}
	bool was_healthy = watch->is_healthy;
	if (watch->version[0] == '\0' && watch->end.err == ERR_NONE)
		(void)why_set(&watch->end, ERR_TRUNCATED, "the whole state", "see the API server's log",
			"the API server ended the watch of %.90s within its state", watch->path);
	if (!was_healthy && watch->end.err != ERR_NONE)
		watch_trouble(watch, &watch->end);
	if (watch->version[0] == '\0')
		watch_restart(watch);
	watch_again(watch, was_healthy ? 0 : watch_backoff_ms(watch));
}

/* --- a turn --- */

static void give_credit(struct kube_watch *watch)
{
	size_t credit = split_take_credit(&watch->split);
	if (watch->stream != NULL && credit > 0)
		kube_stream_consumed(watch->stream, credit);
}

bool watch_receive(struct kube_turn *turn)
{
	struct kube_watch *watch = container_of(turn, struct kube_watch, turn);
	struct span object;
	bool is_list = watch->mode == MODE_LIST;
	enum err err = is_list ? split_next_item(&watch->split, &object) : split_next_line(&watch->split, &object);
	give_credit(watch);
	watch_enter(watch);
	bool is_due = err == ERR_NONE;
	if (err == ERR_NONE && is_list)
		on_item(watch, object);
	else if (err == ERR_NONE)
		on_line(watch, object);
	else if (err != ERR_NOT_FOUND)
		watch_broken(watch, err);
	else if (watch->has_ended)
		on_stream_end(watch);
	/* What it led to may have closed the stream, whose bytes are then gone with it. */
	is_due = is_due && !watch->is_stopped && (watch->stream != NULL || watch->has_ended);
	watch_leave(watch);
	return is_due;
}
