/* Certificates of the operator's for an intermediate. Private to the authority. */
#pragma once

#include "control/issue/authority.h"

#define CHAIN_MAX 8

struct chain { /* what files have, in their order; zeroed is empty */
	struct buf der[CHAIN_MAX];
	size_t num;
};
void chain_done(struct chain *chain);

/* Adds the certificates of PEM. ERR_MALFORMED: it has none; ERR_LIMIT. */
enum err chain_read_pem(struct span pem, struct chain *chain, struct why *why) _must_use_;
enum err chain_read_file(const char *path, struct chain *chain, struct why *why) _must_use_;
bool chain_is_self_signed(struct span der);
/* From pair->certificate up: fills pair->above, and *out_root, which may be one that the authority knows. Borrowed.
 * ERR_UNTRUSTED: a certificate is missing; ERR_LIMIT. */
enum err chain_find_path(const struct authority *authority, const struct chain *chain, struct key_pair *pair,
	struct span *out_root, struct why *why) _must_use_;
/* Whether a sidecar would accept a leaf below it: errors as verify_chain(). ERR_EXPIRED: it ends within a minute. */
enum err chain_check(
	const struct authority *authority, const struct key_pair *pair, struct span root, struct why *why) _must_use_;
