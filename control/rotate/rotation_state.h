/* The stored state of a rotation of the mesh's root, and the stored roots. Pure. */
#pragma once

#include "base/core/buf.h"
#include "certs/digest.h"

/* A root that another one replaces is trusted in all phases but the first and, in the end, is retired. */
enum rotation_phase {
	ROTATION_NONE,       /* the active root alone is trusted */
	ROTATION_PUBLISHING, /* the next root is trusted too, and signs nothing: sidecars confirm it */
	ROTATION_REISSUING,  /* the next root has become the active one: sidecars get certificates below it */
	ROTATION_NUM
};
const char *rotation_phase_name(enum rotation_phase phase); /* "none", "publishing", "reissuing" */

struct rotation_state {
	enum rotation_phase phase;
	uint8_t active[DIGEST_LEN]; /* SHA-256 of the root that signs */
	uint8_t other[DIGEST_LEN];  /* the next root while publishing, the former one while reissuing */
	int64_t began_s, phase_s;   /* when the rotation and its phase began, since 1970 */
	bool is_forced;             /* does not wait for sidecars that are silent */
	uint64_t number;            /* of rotations that have begun */
};
/* A forced step waits for sidecars for ROTATION_FORCED_S, by the clock; where that was set back since the step began,
 * by the time for which this process has seen it. Zeroed: none seen. Pure; to be called periodically. */
#define ROTATION_FORCED_S 10
struct forced_wait {
	int64_t phase_s;
	uint64_t since_ms; /* monotonic; 0: none seen */
};
bool forced_wait_is_over(struct forced_wait *wait, bool is_forced, int64_t phase_s, int64_t now_s, uint64_t now_ms);

/* The former root is retired when none was waited for during so long: a handshake that began with a chain below it,
 * which may take 5 s (timeouts.handshake), is over by then. since_ms: 0 at first. Pure; to be called periodically. */
#define ROTATION_SETTLE_MS 6000
bool rotation_has_settled(uint64_t *since_ms, bool is_quiet, uint64_t now_ms);

#define ROTATION_STATE_KEY "rotation/state"
enum err rotation_state_encode(const struct rotation_state *state, struct buf *out) _must_use_;
enum err rotation_state_parse(struct span record, struct rotation_state *out) _must_use_; /* ERR_STATE_DAMAGED */

struct rotation_root {          /* zeroed is valid to rotation_root_done() */
	struct buf certificate; /* DER */
	struct buf sealed;      /* its key (control/issue/seal.h); empty: of the first root, of an operator's, and after
				   retirement */
	int64_t retired_s;      /* 0: not retired */
	int64_t withdrawn_s;    /* of an operator's root: it was replaced because its key was stolen; 0: it was not */
	bool is_operators;      /* the signers have intermediates below it, and none has its key */
};
void rotation_root_done(struct rotation_root *root);
#define ROTATION_ROOT_PREFIX  "rotation/root/"
#define ROTATION_ROOT_KEY_LEN (sizeof ROTATION_ROOT_PREFIX + 2 * DIGEST_LEN)
void rotation_root_key(const uint8_t sha256[DIGEST_LEN], char out[ROTATION_ROOT_KEY_LEN]);
enum err rotation_root_encode(const struct rotation_root *root, struct buf *out) _must_use_;
/* ERR_STATE_DAMAGED: also if the key names another certificate. */
enum err rotation_root_parse(const char *key, struct span record, struct rotation_root *out) _must_use_;
