/* For tests: new identities, signed by a root. Valid around TEST_NOW_S of certs/test_ca.h. */
#pragma once

#include "certs/private_key.h"
#include "certs/svid.h"
#include "certs/test_ca.h"

struct test_identity {
	struct svid *svid;
	struct private_key *key;
};

void test_identity_init(struct test_identity *identity, const struct test_cert *root, const char *spiffe_id);
void test_identity_done(struct test_identity *identity);
