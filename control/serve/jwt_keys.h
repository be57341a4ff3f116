/* The public keys that this control plane's signer signs JWT-SVIDs with, as records of the store, so that every sidecar
 * has those of all replicas (trust.h). A key is published for days before it signs. */
#pragma once

#include "control/issue/issuer.h"
#include "control/store/store.h"

#define JWT_KEYS_PREFIX "jwt/" /* then the hexadecimal SHA-256 of the key; the record has `spki` and `until` */

struct jwt_keys { /* embedded; zeroed is valid to jwt_keys_stop() */
	struct loop *loop;
	struct store *store;
	struct issuer *issuer;
	struct issuer_request *request; /* NULL: none under way */
	struct loop_timer timer;
	bool is_wanted;    /* a token was requested, or the store has keys: else no key is made */
	bool is_published; /* the store has the signer's keys */
};
void jwt_keys_start(struct jwt_keys *keys, struct loop *loop, struct store *store, struct issuer *issuer);
/* A token is requested. False: the keys are not published yet; ask again soon. */
bool jwt_keys_are_ready(struct jwt_keys *keys);
void jwt_keys_stop(struct jwt_keys *keys);
