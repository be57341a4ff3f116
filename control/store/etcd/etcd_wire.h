/* The messages of etcd's v3 API that the store uses (proto/etcd/v3.proto), as structs. A record of the store is one key
 * of etcd: the prefix and the store's key; the value is a line "writer=MARK" (of the change that made this version) and
 * the store's value. Its version is ModRevision. Pure. */
#pragma once

#include "base/core/buf.h"

#define ETCD_WRITER_LEN 33 /* 32 hexadecimal digits and the NUL */

struct etcd_record {       /* borrowed from the message */
	struct span key;   /* with the prefix */
	struct span value; /* as stored: etcd_value_parse(); ptr NULL: removed */
	uint64_t version;  /* never 0 */
};

/* ERR_LIMIT: no room. */
enum err etcd_value_encode(const char *writer, struct span value, struct buf *out) _must_use_;
/* ERR_STATE_DAMAGED: there is no writer's mark: something else wrote this key. */
enum err etcd_value_parse(struct span stored, struct span *out_writer, struct span *out_value) _must_use_;

struct etcd_range {
	struct span key, end; /* end.len 0: this key alone; else all below `end` */
	uint64_t revision;    /* of the state; 0: the newest one */
	uint32_t limit;       /* records; 0: none */
};
enum err etcd_range_encode(const struct etcd_range *range, struct buf *out) _must_use_;

struct etcd_swap {
	struct span key;
	uint64_t expected; /* ModRevision; 0: must not exist */
	struct span value; /* as stored; ptr NULL: remove */
	/* Another key that must have this version, too; guard.len 0: none. */
	struct span guard;
	uint64_t guard_version;
};
/* If the version is the expected one: put or remove; else the answer has the present record. */
enum err etcd_swap_encode(const struct etcd_swap *swap, struct buf *out) _must_use_;

/* The key and all keys that start with it, from `start` on. */
enum err etcd_watch_encode(struct span prefix, struct span end, uint64_t start, struct buf *out) _must_use_;
enum err etcd_progress_encode(struct buf *out) _must_use_;

enum err etcd_login_encode(struct span user, struct span password, struct buf *out) _must_use_;

struct etcd_head {
	uint64_t cluster; /* id */
	uint64_t revision;
};
typedef void etcd_record_fn(void *arg, const struct etcd_record *record);

struct etcd_answer {
	struct etcd_head head;
	bool has_more;      /* range: the limit was reached */
	bool has_happened;  /* swap */
	bool was_canceled;  /* watch */
	bool is_fragment;   /* watch: more of the same follows */
	uint64_t compacted; /* watch: what was asked for is gone up to here; 0: no */
	char reason[128];   /* watch: of the cancel */
};
/* on_record for each one. Return ERR_MALFORMED, ERR_TOO_LARGE. */
enum err etcd_range_parse(
	struct span message, etcd_record_fn *on_record, void *arg, struct etcd_answer *out, struct why *why) _must_use_;
enum err etcd_swap_parse(struct span message, etcd_record_fn *on_present, void *arg, struct etcd_answer *out,
	struct why *why) _must_use_;
enum err etcd_watch_parse(
	struct span message, etcd_record_fn *on_event, void *arg, struct etcd_answer *out, struct why *why) _must_use_;
/* The token may be the value of a header (RFC 9110 5.5). ERR_MALFORMED, ERR_TOO_LARGE; ERR_LIMIT of out. */
enum err etcd_login_parse(struct span message, struct buf *out_token, struct why *why) _must_use_;

/* The smallest key above all that start with the prefix, which is not empty and ends below 0xff. Same length. */
void etcd_prefix_end(struct span prefix, uint8_t *out);
