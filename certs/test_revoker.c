#include "certs/test_revoker.h"
#include "certs/verify.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

const struct trust_domain revoker_domain = {"td.test"};

void revoker_done(struct revoker *revoker)
{
	test_cert_free(revoker->root);
	test_cert_free(revoker->intermediate);
	test_cert_free(revoker->leaf);
	bundle_set_unref(revoker->bundles);
}

void revoker_init(struct revoker *revoker)
{
	struct test_cert_spec root = test_ca_spec("root"), intermediate = test_ca_spec("intermediate");
	struct test_cert_spec leaf = test_leaf_spec("spiffe://td.test/a");
	*revoker = (struct revoker){.root = test_cert_new(&root, NULL), .bundles = bundle_set_new()};
	revoker->intermediate = test_cert_new(&intermediate, revoker->root);
	revoker->leaf = test_cert_new(&leaf, revoker->intermediate);
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	struct span der = test_cert_der(revoker->root);
	assert_int_equal(bundle_new(&revoker_domain, &der, 1, &bundle, NULL), ERR_NONE);
	assert_int_equal(bundle_set_add(revoker->bundles, bundle, NULL), ERR_NONE);
}

enum err revoker_publish(struct revoker *revoker, const struct test_cert *issuer, const struct test_crl_spec *spec)
{
	_cleanup_(buf_done) struct buf der = BUF_INIT(8192);
	test_crl_make(spec, issuer, &der);
	revoker->detail = (struct why){0};
	enum err err = bundle_set_add_crl(revoker->bundles, &revoker_domain, buf_span(&der), &revoker->detail);
	assert_int_equal(err, revoker->detail.err);
	return err;
}

void revoker_publish_empty(struct revoker *revoker, const struct test_cert *issuer)
{
	struct test_crl_spec spec = test_crl_spec();
	assert_int_equal(revoker_publish(revoker, issuer, &spec), ERR_NONE);
}

enum err revoker_judge(struct revoker *revoker)
{
	struct span chain[] = {test_cert_der(revoker->leaf), test_cert_der(revoker->intermediate)};
	struct verify_input input = {.chain = chain, .num_chain = 2, .bundles = revoker->bundles, .now_s = TEST_NOW_S};
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	char text[800];
	revoker->detail = (struct why){0};
	enum err err = verify_chain(&input, &svid, &revoker->detail);
	if (err != ERR_NONE)
		print_message("  %s\n", why_format(&revoker->detail, text, sizeof(text)));
	return err;
}
