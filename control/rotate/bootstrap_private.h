/* Shared by bootstrap.c (what is stored, and the signer) and bootstrap_change.c (the steps). */
#pragma once

#include "control/rotate/bootstrap.h"

/* One change at a time: a successor is made, signs, is given up, or the former one is retired. */
struct bootstrap_change;

struct bootstrap {
	struct bootstrap_options options;
	struct buf first; /* DER */
	struct bootstrap_state state;
	uint64_t version; /* 0: no record */
	struct bootstrap_pins pins;
	uint8_t wanted[DIGEST_LEN], used[DIGEST_LEN]; /* of what the signer is to sign with, and signs with */
	struct store_watch watch;
	struct loop_task start;
	struct issuer_request *at_signer; /* NULL: none */
	uint8_t at_signer_digest[DIGEST_LEN];
	struct bootstrap_change *change; /* NULL: none */
	struct forced_wait forced;
	int64_t sync_retry_s, begin_retry_s;
	bool is_ready;
};

int64_t bootstrap_now_s(const struct bootstrap *bootstrap);
/* bootstrap_change.c: the change under way ends without an answer. */
void bootstrap_drop_change(struct bootstrap *bootstrap);
/* bootstrap.c: gives the signer the bootstrap root that the store names, if it failed before. */
void bootstrap_retry(struct bootstrap *bootstrap);
