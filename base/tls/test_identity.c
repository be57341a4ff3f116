#include "base/tls/test_identity.h"
#include "base/core/check.h"

void test_identity_init(struct test_identity *identity, const struct test_cert *root, const char *spiffe_id)
{
	struct test_cert_spec spec = test_leaf_spec(spiffe_id);
	_cleanup_(test_cert_freep) struct test_cert *leaf = test_cert_new(&spec, root);
	struct span chain = test_cert_der(leaf);
	identity->key = test_cert_key(leaf);
	CHECK(svid_parse(&chain, 1, &identity->svid, NULL) == ERR_NONE);
}

void test_identity_done(struct test_identity *identity)
{
	svid_unref(identity->svid);
	private_key_unref(identity->key);
}
