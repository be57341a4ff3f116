/* The parts of a watch: kube_watch.c has its life (start, wait, end), watch_receive.c what it makes of the bytes.
 * Private to base/kube. */
#pragma once

#include "base/core/backoff.h"
#include "base/kube/kube_stream.h"
#include "base/kube/kube_watch.h"
#include "base/kube/split.h"
#include "base/kube/watch_event.h"

enum watch_mode {
	MODE_WATCH_LIST, /* the whole state, then changes, on one stream */
	MODE_LIST,       /* a page of the whole state */
	MODE_WATCH,      /* changes since `version` */
};

struct kube_watch {
	struct kube_client *client;
	char *path, *query; /* query: "" or "...&" */
	struct kube_watch_observer observer;
	enum watch_mode mode;
	struct kube_stream *stream; /* NULL: none is open */
	struct kube_request *probe; /* NULL: none is under way */
	unsigned status;            /* of HTTP; 0: the header has not come */
	uint32_t retry_after_s;
	struct split split;
	struct buf refusal; /* the body of an answer other than 200 */
	bool has_ended;     /* the stream, with this result; what was received is still to be parsed */
	struct why end;     /* err ERR_NONE: as the server meant it */

	char version[KUBE_VERSION_MAX];        /* "": the whole state is to be read */
	char probed_version[KUBE_VERSION_MAX]; /* what `version` was when the probe began */
	char *more;          /* MODE_LIST: the next page ("continue"), percent-encoded; NULL: the first */
	bool uses_list;      /* WatchList is refused, for this reading of the whole state */
	bool has_begun;      /* on_begin was called for it */
	bool is_healthy;     /* this stream has proved that it works */
	bool was_cut;        /* the one before ended by a failure: the server may have been restored since */
	uint32_t silence_ms; /* what the timer was armed with */
	struct why trouble;  /* as reported; err ERR_NONE: none */

	struct backoff backoff;
	struct loop_timer retry, silence;
	struct kube_turn turn;
	unsigned num_inside; /* calls on the stack, which still use it */
	bool is_stopped;     /* to be freed with the last of them */
};

/* --- kube_watch.c --- */
void watch_enter(struct kube_watch *watch);
void watch_leave(struct kube_watch *watch); /* may free it */
/* Opens the next stream after the delay; closes the present one. */
void watch_again(struct kube_watch *watch, uint64_t delay_ms);
uint64_t watch_backoff_ms(struct kube_watch *watch);
void watch_restart(struct kube_watch *watch);                        /* the whole state is to be read again */
void watch_healthy(struct kube_watch *watch);                        /* the trouble is over */
void watch_trouble(struct kube_watch *watch, const struct why *why); /* reports it, if it is another one */

/* --- watch_receive.c --- */
bool watch_receive(struct kube_turn *turn); /* a little of what was received, and at last the stream's end */
void watch_broken(struct kube_watch *watch, enum err err); /* what the stream sent cannot be used: another one */
