/* The state of a sidecar that survives restarts, in a folder of its own (0700): the attestation key (PKCS#8, 0600), and
 * a small file with the pins of bootstrap roots, the consumed token, and the newest epoch. Each file is written
 * atomically. A damaged file is an error that names the file; it is not overwritten. Beside them are the files of
 * kept.h, without which a sidecar starts as before. */
#pragma once

#include "certs/bundle.h"
#include "certs/digest.h"
#include "certs/private_key.h"

#define STATE_PINS_MAX 8

struct enrolled_state {                           /* plain values; zeroed: not enrolled */
	uint8_t pins[STATE_PINS_MAX][DIGEST_LEN]; /* next bootstrap roots that the control plane announced */
	size_t num_pins;
	bool has_consumed_token;
	uint8_t consumed_token[DIGEST_LEN]; /* SHA-256 of its id */
	struct epoch epoch;                 /* the newest trust in use; incarnation 0: none */
};

struct state_folder;
/* Creates the folder if it is missing, and the key if there is none. ERR_DENIED: other users can enter the folder.
 * ERR_STATE_DAMAGED: *why names the file. */
enum err state_folder_open(const char *path, struct state_folder **out, struct why *why) _must_use_;
/* Another process has the folder from now on: the lock is released, and calls that write do nothing and return
 * ERR_NONE.
 */
void state_folder_leave(struct state_folder *state);
/* While another process has the folder, or is about to, and may leave it: the lock is released, and nothing is kept
 * here, which is then no fault. */
void state_folder_wait(struct state_folder *state, bool waits);
bool state_folder_waits(const struct state_folder *state);
void state_folder_free(struct state_folder *state);
DEFINE_CLEANUP(struct state_folder *, state_folder_free)
struct private_key *state_folder_key(const struct state_folder *state); /* borrowed */
const struct enrolled_state *state_folder_get(const struct state_folder *state);
/* Stores the state; on success state_folder_get() returns it. If it is unchanged, nothing is written. */
enum err state_folder_put(struct state_folder *state, const struct enrolled_state *fresh, struct why *why) _must_use_;

/* For kept.h. The name of a file of this folder, without a slash; content as kept_file.h. ERR_CONFLICT: another sidecar
 * that runs uses this folder, and its files stay as they are. */
enum err state_folder_keep(
	struct state_folder *state, const char *name, struct span content, struct why *why) _must_use_;
enum err state_folder_drop(struct state_folder *state, const char *name, struct why *why) _must_use_;
enum err state_folder_kept(
	const struct state_folder *state, const char *name, struct buf *out, struct why *why) _must_use_;
