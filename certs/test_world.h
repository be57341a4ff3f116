/* For the verifier's tests: one trust domain, td.test, with a root in its bundle, and a chain to verify. */
#pragma once

#include "certs/test_ca.h"
#include "certs/verify.h"

#define WORKLOAD "spiffe://td.test/a"

struct world {
	struct test_cert *root;
	struct bundle_set *bundles;
	struct test_cert *made[8];
	size_t num_made;
	struct span chain[8];
	size_t num_chain;
	struct why detail; /* of the last verification */
};

void world_init(struct world *world);
void world_init_with(struct world *world, const struct test_cert_spec *root);
void world_done(struct world *world);

/* A world that is released at the end of its scope. */
#define WORLD(name)                                                                                                    \
	_cleanup_(world_done) struct world name;                                                                       \
	world_init(&name)

/* A bundle with that root for another trust domain; root NULL: an empty one. */
void world_trust(struct world *world, const char *trust_domain, const struct test_cert *root);
struct test_cert *world_make(struct world *world, const struct test_cert_spec *spec,
	const struct test_cert *issuer);                            /* owned by the world */
void world_send(struct world *world, const struct test_cert *cert); /* appends to the chain */

struct verify_input world_input(const struct world *world);
/* Verifies the chain; prints and stores the reason of a refusal. */
enum err world_judge(struct world *world);
enum err world_judge_with(struct world *world, const struct verify_input *input);
enum err world_judge_leaf(struct world *world, const struct test_cert_spec *spec); /* a leaf issued by the root */
/* A valid leaf below such an intermediate, which the root issued. */
enum err world_judge_below(struct world *world, const struct test_cert_spec *intermediate);
