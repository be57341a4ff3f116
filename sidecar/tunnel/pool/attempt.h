/* One try to open a stream, from the request to the verdict. The app's bytes leave at once, before the answer; a copy
 * of them is buffered (at most EARLY_MAX), so that a stream that the peer certainly did not process can be opened again
 * elsewhere. Inside this folder only. */
#pragma once

#include "base/core/buf.h"
#include "base/core/list.h"
#include "sidecar/tunnel/pool/tunnel_pool.h"

enum { EARLY_MAX = 32 * 1024, ATTEMPT_TRIES = 3 };

struct h2_header;
struct stream;
struct tunnel;
struct upstream;

struct stream_attempt {
	struct list_link link;     /* while it waits at its upstream */
	struct upstream *upstream; /* while waiting */
	struct loop *loop;
	struct addr endpoint, source;
	void (*on_result)(void *arg, struct leg *leg, const struct stream_result *result);
	void *arg;
	struct leg *downstream;     /* borrowed; NULL: none */
	struct stream *stream;      /* NULL: waiting, or ended */
	const struct tunnel *avoid; /* it refused this one; only compared */
	unsigned tries;
	uint64_t sent_ms; /* when `stream` was opened */
	struct buf early;
	size_t replayed;           /* bytes of `early` that the present stream has taken */
	bool early_ended;          /* the app's end came before the answer */
	bool may_be_delivered;     /* what was sent, perhaps, before its stream was lost */
	struct loop_timer waiting; /* for a tunnel, as long as the request allows */
	struct loop_task reporting;
	struct stream_result *failure; /* to be reported */
};

struct stream_attempt *attempt_new(struct loop *loop, const struct stream_request *request);
/* ERR_CLOSED or ERR_LIMIT: this tunnel takes no stream now; nothing has changed. */
enum err attempt_start(struct stream_attempt *attempt, struct tunnel *tunnel) _must_use_;
/* The stream is gone without an answer; true: it was certainly not processed, and may be tried again. */
bool attempt_lose_stream(struct stream_attempt *attempt, uint32_t error, const struct why *why);
void attempt_on_answer(struct stream_attempt *attempt, const struct h2_header *headers, size_t num_headers);
/* The verdict, reported from a task; the attempt ends with it. */
void attempt_fail(struct stream_attempt *attempt, enum stream_verdict verdict, bool by_peer, const struct why *why);
enum io_result attempt_pull(struct stream_attempt *attempt, uint8_t *to, size_t cap, size_t *out_len);
