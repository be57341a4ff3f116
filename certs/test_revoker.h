/* For tests of revocation: a root, an intermediate and a leaf of the trust domain td.test. */
#pragma once

#include "certs/test_mesh.h"

struct revoker {
	struct test_cert *root, *intermediate, *leaf;
	struct bundle_set *bundles; /* with the root */
	struct why detail;          /* of the last error */
};

extern const struct trust_domain revoker_domain;

void revoker_init(struct revoker *revoker);
void revoker_done(struct revoker *revoker);
#define REVOKER(name)                                                                                                  \
	_cleanup_(revoker_done) struct revoker name;                                                                   \
	revoker_init(&name)

/* Adds a revocation list of the issuer to the bundles. */
enum err revoker_publish(
	struct revoker *revoker, const struct test_cert *issuer, const struct test_crl_spec *spec) _must_use_;
void revoker_publish_empty(struct revoker *revoker, const struct test_cert *issuer);
/* As for a new connection of the leaf. */
enum err revoker_judge(struct revoker *revoker) _must_use_;
