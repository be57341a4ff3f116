/* Splits what the API server sends as a stream into JSON objects, before any of it is parsed: the lines of a watch, or
 * the items of a list. Bounded, and pure.
 *
 * Credit: the bytes of whole objects that wait to be parsed are not credited, so that a server that is faster than we
 * waits; the beginning of an object is, since its rest must come. So at most an object and a window are held. */
#pragma once

#include "base/core/buf.h"

/* Bytes. etcd takes 1.5 MiB, and an event has the object once, but each of its bytes may become six (\u003c). */
#define SPLIT_OBJECT_MAX (10 * 1024 * 1024)
#define SPLIT_AROUND_MAX (64 * 1024) /* bytes of a list around its items */

struct split { /* zeroed is valid to split_done() */
	struct buf pending;
	struct buf around; /* of a list: what is not an item */
	size_t scanned;    /* bytes of `pending` that were looked at */
	size_t taken;      /* bytes of the object that was returned last */
	size_t credited;   /* bytes at the beginning of `pending` that have been credited */
	size_t credit;     /* bytes to be credited */
	unsigned depth;    /* of a list: of the brackets */
	bool is_in_string, is_escaped, is_in_items, is_in_item, is_items_key;
	size_t string_at; /* in `around`: where the last string began */
};

void split_init(struct split *split, size_t window); /* window: what can arrive without credit */
void split_done(struct split *split);
/* ERR_LIMIT: more than an object and the window: the peer ignores flow control. */
enum err split_feed(struct split *split, struct span bytes) _must_use_;
/* The next whole object, borrowed until the next call for this split. ERR_NOT_FOUND: the rest has not come;
 * ERR_TOO_LARGE: longer than SPLIT_OBJECT_MAX; ERR_MALFORMED (items only): not a list of objects. */
enum err split_next_line(
	struct split *split, struct span *out) _must_use_; /* without its end; empty ones are skipped */
enum err split_next_item(struct split *split, struct span *out) _must_use_;
size_t split_take_credit(struct split *split); /* bytes to be credited now */
/* A list without its items, once it has ended: {"metadata":{...},"items":[]}. ERR_TRUNCATED: it has not. */
enum err split_list(const struct split *split, struct span *out) _must_use_;
