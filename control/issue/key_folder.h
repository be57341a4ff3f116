/* The signer's key folder: 0700, one 0600 PEM file per authority (key and certificate together, so that a crash never
 * leaves one without the other), and the mark of the store that it serves. */
#pragma once

#include "base/core/buf.h"
#include "certs/private_key.h"

struct key_pair { /* zeroed is empty */
	struct private_key *key;
	struct buf certificate; /* DER */
};
void key_pair_done(struct key_pair *pair);

struct key_folder {
	const char *path; /* borrowed */
};

/* Makes the folder, or checks that no other user has access to it. */
enum err key_folder_open(struct key_folder *folder, const char *path, struct why *why) _must_use_;
/* name: "root". ERR_NOT_FOUND, or ERR_STATE_DAMAGED: nothing is overwritten. */
enum err key_folder_load(
	const struct key_folder *folder, const char *name, struct key_pair *out, struct why *why) _must_use_;
enum err key_folder_save(
	const struct key_folder *folder, const char *name, const struct key_pair *pair, struct why *why) _must_use_;

/* The store that is served and its revision, so that a lost store or an older copy is noticed. */
struct store_mark {
	uint64_t epoch;       /* fencing: grows with each start; 0: no store has been served */
	uint64_t incarnation; /* of the store; 0: unknown (written by release 0.1.0) */
	uint64_t revision;    /* of the store, when last recorded */
};
enum err key_folder_load_mark(const struct key_folder *folder, struct store_mark *out, struct why *why) _must_use_;
enum err key_folder_save_mark(
	const struct key_folder *folder, const struct store_mark *mark, struct why *why) _must_use_;
