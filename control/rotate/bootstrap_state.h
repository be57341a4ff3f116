/* The stored state of the bootstrap root's replacement by a successor (decision 071): one record, so that a crash
 * leaves the state before or after a step. Pure. */
#pragma once

#include "base/core/buf.h"
#include "certs/digest.h"

enum bootstrap_phase {
	BOOTSTRAP_NONE,       /* the active one alone is accepted */
	BOOTSTRAP_PUBLISHING, /* the next one's pin is in the trust state, and it signs nothing: sidecars confirm it */
	BOOTSTRAP_OVERLAP, /* it has become the active one; the former one is accepted too, by a cross-signed chain */
	BOOTSTRAP_PHASES_NUM
};
const char *bootstrap_phase_name(enum bootstrap_phase phase); /* "none", "publishing", "overlap" */

#define BOOTSTRAP_BYTES_MAX 4096 /* of a certificate, or of a sealed key */

struct bootstrap_state { /* bootstrap_state_init() */
	enum bootstrap_phase phase;
	int64_t began_s, phase_s; /* when the replacement and its phase began, since 1970 */
	bool is_forced;           /* does not wait for sidecars that are silent */
	uint64_t number;          /* of replacements that have begun */
	/* Certificates are DER. active empty: the first one, which the key folder has. */
	struct buf active, active_sealed; /* control/issue/seal.h */
	struct buf next, next_sealed;     /* publishing; else empty */
	struct buf former;                /* overlap; else empty */
	struct buf cross; /* the successor, signed by the one before it; empty without a former or next one */
};
void bootstrap_state_init(struct bootstrap_state *state);
void bootstrap_state_done(struct bootstrap_state *state);
void bootstrap_state_copy(const struct bootstrap_state *from, struct bootstrap_state *to); /* to: initialized */

#define BOOTSTRAP_STATE_KEY "bootstrap/state"
#define BOOTSTRAP_STATE_MAX 65536 /* bytes of the record */
enum err bootstrap_state_encode(const struct bootstrap_state *state, struct buf *out) _must_use_;
enum err bootstrap_state_parse(struct span record, struct bootstrap_state *out) _must_use_; /* ERR_STATE_DAMAGED */
