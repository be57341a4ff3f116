/* A real signer and a real store for the tests of what rotates. */
#pragma once

#include "base/core/loop.h"
#include "certs/digest.h"
#include "certs/spiffe_id.h"
#include "control/issue/issuer.h"
#include "control/store/store.h"

struct test_rotation {
	char parent[64], keys[80], path[80];
	struct loop *loop;
	struct store *store;
	struct issuer *issuer;
	struct trust_domain domain;
	size_t place;               /* of the authority that rotates, in the signer's chain */
	struct buf first;           /* DER: that authority as the signer introduces it */
	uint8_t in_use[DIGEST_LEN]; /* by the signer */
	unsigned num_ready, num_done, num_introduced, num_active, epoch;
	enum err ready, done;
};

void test_rotation_init(struct test_rotation *test, const struct clock *clock, size_t place); /* the folder, the loop */
void test_rotation_done(struct test_rotation *test);
void test_rotation_start(struct test_rotation *test); /* the signer, which has introduced itself, and the store */
void test_rotation_stop(struct test_rotation *test);
void test_rotation_wait(struct test_rotation *test, const unsigned *count, unsigned value); /* until it has the value */

/* Callbacks whose argument is the fixture: they count, and keep the result. */
void test_rotation_on_ready(void *arg, enum err err, const struct why *why);
void test_rotation_on_published(void *arg);
void test_rotation_on_active(void *arg, const struct issued *authorities);
void test_rotation_on_done(void *arg, enum err err, const struct why *why);
