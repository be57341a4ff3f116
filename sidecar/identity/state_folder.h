/* What a sidecar keeps across restarts, in a folder of its own (0700): the lasting attestation key (PKCS#8, 0600), and
 * a small file with the pins of bootstrap roots learnt so far, the token that has been used, and the newest epoch seen.
 * Each file is written whole or not at all. A damaged file is an error that says so; nothing is overwritten then. */
#pragma once

#include "certs/bundle.h"
#include "certs/digest.h"
#include "certs/private_key.h"

#define STATE_PINS_MAX 8

struct enrolled_state {                           /* plain values, zeroed: nothing yet */
	uint8_t pins[STATE_PINS_MAX][DIGEST_LEN]; /* successors that the control plane announced */
	size_t num_pins;
	bool has_consumed_token;
	uint8_t consumed_token[DIGEST_LEN]; /* SHA-256 of its id */
	struct epoch epoch;                 /* the newest trust in use; incarnation 0: none */
};

struct state_folder;
/* Makes the folder when it is missing. ERR_DENIED: others can get in. ERR_STATE_DAMAGED names the file. The key is made
 * and stored when there is none yet. */
enum err state_folder_open(const char *path, struct state_folder **out, struct why *why) _must_use_;
void state_folder_free(struct state_folder *state);
DEFINE_CLEANUP(struct state_folder *, state_folder_free)
struct private_key *state_folder_key(const struct state_folder *state); /* borrowed */
const struct enrolled_state *state_folder_get(const struct state_folder *state);
/* Stores and, if that worked, becomes what state_folder_get() gives. Unchanged: nothing is written. */
enum err state_folder_put(struct state_folder *state, const struct enrolled_state *fresh, struct why *why) _must_use_;
