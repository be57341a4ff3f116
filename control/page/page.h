/* The operators' page on 127.0.0.1: "/" has no data; "/state" (once) and "/events" (server-sent events, when something
 * has changed) have it, for who presents the token as "Authorization: Bearer". GET and HEAD alone; nothing here changes
 * anything. base/http refuses a Host that is no address (against DNS rebinding). */
#pragma once

#include "base/core/buf.h"
#include "base/core/loop.h"

#define PAGE_TOKEN_LEAST 32 /* bytes: so that none is guessed */
#define PAGE_TOKEN_MAX   256
#define PAGE_STREAMS_MAX 8          /* of events at once */
#define PAGE_STATE_MAX   (6u << 20) /* bytes of JSON */
#define PAGE_EACH_MS     2000       /* the state is read again, or more rarely if that takes long */

#define PAGE_REPORT_EACH_S 10 /* sidecars report so often */

struct page_options {
	struct loop *loop;
	int listening_fd;   /* adopted */
	struct span token;  /* copied, and wiped */
	struct span html;   /* borrowed: constant */
	const char *policy; /* of page_policy(); copied */
	/* Appends one JSON object, without a line end. An error is an event "error" with its reason, until it can be
	 * read again; "/state" answers 503. */
	enum err (*put_state)(void *arg, struct buf *out);
	void *arg;
};

struct page;
struct page *page_new(const struct page_options *options);
void page_free(struct page *page);
DEFINE_CLEANUP(struct page *, page_free)

/* The token in the bytes of a file: without its line end. ERR_CONFIG with *why: too short, too long, or with a byte
 * that is not printable. */
enum err page_token_read(struct span file, struct span *out, struct why *why) _must_use_;
