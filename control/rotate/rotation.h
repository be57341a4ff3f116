/* Replaces the mesh's root without a broken connection: the next root is made and published, every sidecar confirms it,
 * then it signs, every sidecar gets a certificate below it, then the former one is retired. The state is in the store:
 * a restart goes on where it was, and of several replicas each may take the next step. */
#pragma once

#include "base/core/loop.h"
#include "control/issue/issuer.h"
#include "control/rotate/rotation_state.h"
#include "control/store/store.h"

#define ROTATION_RETIRED_MAX 15 /* retired roots that are published; the oldest are forgotten first */
#define ROTATION_TAG_LEN     8  /* bytes of a root's SHA-256 that records and connections carry */

struct rotation;

struct rotation_options { /* borrowed */
	struct loop *loop;
	struct store *store;
	struct issuer *issuer;
	struct span root;        /* in use by the signer, DER */
	int64_t rotate_before_s; /* a rotation begins by itself when the active root ends within this time; 0: never */
	/* The signer has the root that the store names; or it cannot have it. Once. */
	void (*on_ready)(void *arg, enum err err, const struct why *why);
	void (*on_roots)(void *arg);                                    /* rotation_roots() has changed */
	void (*on_active)(void *arg, const struct issued *authorities); /* the signer uses another root */
	void *arg;
};
struct rotation *rotation_new(const struct rotation_options *options);
void rotation_free(struct rotation *rotation); /* the store is closed before the loop runs again */

const struct rotation_state *rotation_state_of(const struct rotation *rotation); /* as stored */

/* DER, borrowed until on_roots() returns the next time. Trusted ones first, then the retired ones, newest first. */
struct rotation_roots {
	struct span der[2 + ROTATION_RETIRED_MAX];
	size_t num_all, num_retired;
};
const struct rotation_roots *rotation_roots(const struct rotation *rotation);
/* The root that has signed an authority, as its tag. False: none that is known. */
bool rotation_find_root(struct rotation *rotation, struct span intermediate_der, uint8_t out_tag[ROTATION_TAG_LEN]);

/* Whether a certificate below that root is accepted: it is known and not retired. */
bool rotation_trusts(const struct rotation *rotation, const uint8_t tag[ROTATION_TAG_LEN]);

/* The signer has the active root, and the roots in force were reported. */
bool rotation_is_in_force(const struct rotation *rotation);

typedef void rotation_done_fn(void *arg, enum err err, const struct why *why);
/* ERR_EXISTS: one is under way; with is_forced it no longer waits, and that is ERR_NONE. */
void rotation_begin(struct rotation *rotation, bool is_forced, rotation_done_fn *on_done, void *arg);
/* The present root is withdrawn at once, with all that it signed, and another one takes its place. ERR_EXISTS: a
 * rotation is under way. */
void rotation_replace(struct rotation *rotation, rotation_done_fn *on_done, void *arg);
/* ERR_NOT_FOUND: none is under way; ERR_DENIED: the next root signs already. */
void rotation_abort(struct rotation *rotation, rotation_done_fn *on_done, void *arg);

/* --- rotation_own.c: a root of the operator's, below which each signer was given an intermediate (issuer_import()) ---
 */

/* The signer has such an intermediate. If its root is the active one it is used from now on; else a rotation to that
 * root begins. ERR_EXISTS: a rotation to another root is under way; ERR_REVOKED: rotation_replace() has withdrawn it.
 */
void rotation_take_root(struct rotation *rotation, struct span root_der, rotation_done_fn *on_done, void *arg);
/* Which root issuer_import() may bring besides the one that the signer uses. False: any. */
bool rotation_wants_root(const struct rotation *rotation, uint8_t out_sha256[DIGEST_LEN]);
/* The active root is the operator's, and this signer has no intermediate below it: what it issues is below another. */
bool rotation_lacks_intermediate(const struct rotation *rotation);
bool rotation_is_own_root(const struct rotation *rotation); /* the active root is the operator's */

struct rotation_progress {
	bool is_published;     /* the roots in force are the durable trust state */
	bool has_own;          /* this control plane has taken the phase over, with the pods that are connected to it */
	unsigned num_waited;   /* sidecars that have not confirmed the root, or have no certificate below it yet */
	unsigned num_replicas; /* other control planes that have not taken the phase over */
	int64_t unrecorded_until_s; /* one of num_waited is for certificates without a record, until then; 0: none is */
	int64_t partners_until_s;   /* partners fetch the next root until then; 0: they are not waited for */
};
static inline bool rotation_progress_waits(const struct rotation_progress *progress)
{
	return progress->num_waited > 0 || progress->num_replicas > 0 || progress->partners_until_s != 0;
}
/* Periodically: takes the next step when it is due. */
void rotation_poll(struct rotation *rotation, const struct rotation_progress *progress);
