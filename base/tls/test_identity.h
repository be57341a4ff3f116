/* For tests: identities out of nothing, each signed by one root that a test_authority makes. */
#pragma once

#include "certs/private_key.h"
#include "certs/svid.h"

struct test_authority {
	struct private_key *key;
	struct x509_st *root;
};

struct test_identity {
	struct svid *svid;
	struct private_key *key;
};

void test_authority_init(struct test_authority *authority);
void test_authority_done(struct test_authority *authority);
struct span test_authority_root(const struct test_authority *authority, struct buf *out_der);
void test_identity_init(struct test_identity *identity, const struct test_authority *authority, const char *spiffe_id);
void test_identity_done(struct test_identity *identity);
