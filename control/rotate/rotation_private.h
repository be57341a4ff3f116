/* Shared by rotation.c (what is stored, and the signer), rotation_change.c (the steps), rotation_own.c (a root of the
 * operator's) and rotation_refusals.c (why a change cannot begin). */
#pragma once

#include "control/rotate/rotation.h"

#define ROTATION_PREFIX    "rotation/"
#define ROTATION_KNOWN_MAX 64

struct rotation_known {
	uint8_t sha256[DIGEST_LEN];
	struct rotation_root root;
	uint64_t version;
};

/* One change at a time: a rotation begins, goes on or is aborted. */
struct rotation_change;

struct rotation {
	struct rotation_options options;
	struct rotation_state state;
	uint64_t state_version; /* 0: no record */
	struct rotation_known known[ROTATION_KNOWN_MAX];
	size_t num_known;
	struct rotation_roots roots;
	uint8_t trusted[2][ROTATION_TAG_LEN]; /* tags of those that are not retired */
	bool are_roots_new;                   /* on_roots() follows once the signer has the active one */
	struct buf signer_root;               /* DER: the root that the signer uses */
	uint8_t signer_sha256[DIGEST_LEN];
	struct store_watch watch;
	struct loop_task start;
	struct issuer_request *at_signer, *forgetting; /* NULL: none */
	int64_t retry_s;
	struct forced_wait forced;
	uint64_t settles_since_ms; /* monotonic: reissuing, and none is waited for any more; 0: not so */
	uint64_t warned_number;    /* of the rotation whose next root is not valid now; 0: none */
	bool is_ready;
	struct rotation_change *change; /* NULL: none */
	struct buf last_intermediate;   /* whose root was found last */
	uint8_t last_root[DIGEST_LEN];
};

struct rotation_known *rotation_find(struct rotation *rotation, const uint8_t sha256[DIGEST_LEN]);
int64_t rotation_now_s(const struct rotation *rotation);
/* rotation_change.c: as rotation_begin(), with a root that is the operator's. ERR_CONFLICT: a change is under way. */
void rotation_begin_own(struct rotation *rotation, struct span root_der, rotation_done_fn *on_done, void *arg);
/* rotation_own.c: of the roots that signed, one of the operator's without the mark that it is withdrawn; NULL: none. */
const struct rotation_known *rotation_next_to_mark(struct rotation *rotation);
/* rotation_refusals.c: ERR_CONFLICT: a change is being stored; the signer does not have the active root; ERR_EXISTS. */
enum err rotation_is_busy(const struct rotation *rotation, struct why *why);
enum err rotation_is_behind(const struct rotation *rotation, struct why *why);
enum err rotation_is_under_way(const struct rotation *rotation, struct why *why);
/* rotation_refusals.c: the next root is valid by this host's clock; if not, that is logged once. */
bool rotation_next_is_valid(struct rotation *rotation);
/* rotation_refusals.c: none is waited for any more, and the former root has settled. To be called periodically. */
bool rotation_phase_is_over(struct rotation *rotation, const struct rotation_progress *progress);
/* rotation_change.c: the change under way ends without an answer. */
void rotation_drop_change(struct rotation *rotation);
/* rotation.c: gives the signer the root that the store names, if it failed before. */
void rotation_retry(struct rotation *rotation);
void rotation_retry_now(struct rotation *rotation);
/* The signer uses the root that the store names. */
bool rotation_signer_has_active(const struct rotation *rotation);
