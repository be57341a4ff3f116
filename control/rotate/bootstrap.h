/* Replaces the bootstrap root by a successor without locking a sidecar out (decision 071): the successor is made and
 * its pin published, every sidecar confirms it, then it signs the control plane's server certificate. The former one is
 * accepted until it ends or an operator retires it, so that a sidecar that was away, and an unused join token, need
 * nothing. The state is in the store, as of rotation.h. */
#pragma once

#include "base/core/loop.h"
#include "control/issue/issuer.h"
#include "control/rotate/bootstrap_state.h"
#include "control/rotate/rotation.h"
#include "control/store/store.h"

struct bootstrap;

/* SHA-256 of the DER of successors, which sidecars keep beside the pin that they have. */
struct bootstrap_pins {
	uint8_t sha256[2][DIGEST_LEN];
	size_t num;
};

struct bootstrap_options { /* borrowed */
	struct loop *loop;
	struct store *store;
	struct issuer *issuer;
	struct span first;       /* the bootstrap root of the key folder, DER */
	int64_t rotate_before_s; /* a successor is made by itself when the active one ends within this time; 0: never */
	/* The signer has the bootstrap root that the store names; or it cannot have it. Once. */
	void (*on_ready)(void *arg, enum err err, const struct why *why);
	void (*on_pins)(void *arg);                                     /* bootstrap_pins() has changed */
	void (*on_active)(void *arg, const struct issued *authorities); /* the signer's chain has changed */
	void *arg;
};
struct bootstrap *bootstrap_new(const struct bootstrap_options *options);
void bootstrap_free(struct bootstrap *bootstrap); /* the store is closed before the loop runs again */

const struct bootstrap_state *bootstrap_state_of(const struct bootstrap *bootstrap); /* as stored */
const struct bootstrap_pins *bootstrap_pins(const struct bootstrap *bootstrap);
struct span bootstrap_active(const struct bootstrap *bootstrap); /* DER, also of the first one */
bool bootstrap_is_in_force(const struct bootstrap *bootstrap);   /* the signer has what the store names */

/* ERR_EXISTS: one is under way, or the former one is not retired; with is_forced the first is ERR_NONE. */
void bootstrap_begin(struct bootstrap *bootstrap, bool is_forced, rotation_done_fn *on_done, void *arg);
/* ERR_NOT_FOUND: none is under way; ERR_DENIED: the successor signs already. */
void bootstrap_abort(struct bootstrap *bootstrap, rotation_done_fn *on_done, void *arg);
/* The former one is accepted no more. ERR_NOT_FOUND: there is none. */
void bootstrap_retire(struct bootstrap *bootstrap, rotation_done_fn *on_done, void *arg);

/* Periodically: takes the next step when it is due. */
void bootstrap_poll(struct bootstrap *bootstrap, const struct rotation_progress *progress);
