/* The signer's key folder: 0700, one 0600 PEM file per authority (key, certificate and the authorities above it
 * together, so that a crash never leaves one without the other), and the mark of the store that it serves. */
#pragma once

#include "base/core/buf.h"
#include "certs/private_key.h"

#define KEY_PAIR_ABOVE_MAX 2 /* with leaf and intermediate as many as a chain has (certs/svid.h) */

struct key_pair {                             /* zeroed is empty */
	struct private_key *key;              /* NULL: held elsewhere, such as by an offline root of the operator's */
	struct buf certificate;               /* DER; empty: there is none */
	struct buf above[KEY_PAIR_ABOVE_MAX]; /* DER: the authorities between it and its root, nearest first; else empty
					       */
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
/* The same, also of a file without a key. */
enum err key_folder_load_keyless(
	const struct key_folder *folder, const char *name, struct key_pair *out, struct why *why) _must_use_;
enum err key_folder_save(
	const struct key_folder *folder, const char *name, const struct key_pair *pair, struct why *why) _must_use_;

/* Not there: ERR_NONE. */
enum err key_folder_remove(const struct key_folder *folder, const char *name, struct why *why) _must_use_;

/* The store that is served and its revision, so that a lost store or an older copy is noticed. */
struct store_mark {
	uint64_t epoch;       /* fencing: grows with each start; 0: no store has been served */
	uint64_t incarnation; /* of the store; 0: unknown (written by release 0.1.0) */
	uint64_t revision;    /* of the store, when last recorded */
};
enum err key_folder_load_mark(const struct key_folder *folder, struct store_mark *out, struct why *why) _must_use_;
/* Also while the disk is full, once the folder has had a mark (exchanged_file.h): each start writes one. */
enum err key_folder_save_mark(
	const struct key_folder *folder, const struct store_mark *mark, struct why *why) _must_use_;
