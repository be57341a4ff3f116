/* Where the signer keeps its keys: a folder of its own, 0700, one 0600 PEM file an authority (key and certificate
 * together, so that a crash never leaves one without the other), and the highest fencing epoch it has served. */
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

/* Makes the folder or checks that nobody else may look into it. */
enum err key_folder_open(struct key_folder *folder, const char *path, struct why *why) _must_use_;
/* name: "root". ERR_NOT_FOUND, or ERR_STATE_DAMAGED: nothing is overwritten. */
enum err key_folder_load(
	const struct key_folder *folder, const char *name, struct key_pair *out, struct why *why) _must_use_;
enum err key_folder_save(
	const struct key_folder *folder, const char *name, const struct key_pair *pair, struct why *why) _must_use_;
enum err key_folder_load_epoch(
	const struct key_folder *folder, uint64_t *out, struct why *why) _must_use_; /* 0: none */
enum err key_folder_save_epoch(const struct key_folder *folder, uint64_t epoch, struct why *why) _must_use_;
