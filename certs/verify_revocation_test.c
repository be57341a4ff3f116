#include "certs/test_mesh.h"
#include "certs/verify.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

/* D21, with a root, an intermediate and a leaf: each authority has a list, as the verifier requires. */
struct revoker {
	struct test_cert *root, *intermediate, *leaf;
	struct bundle_set *bundles;
	struct why detail;
};

static const struct trust_domain domain = {"td.test"};

static void revoker_done(struct revoker *revoker)
{
	test_cert_free(revoker->root);
	test_cert_free(revoker->intermediate);
	test_cert_free(revoker->leaf);
	bundle_set_unref(revoker->bundles);
}

static void revoker_init(struct revoker *revoker)
{
	struct test_cert_spec root = test_ca_spec("root"), intermediate = test_ca_spec("intermediate");
	struct test_cert_spec leaf = test_leaf_spec("spiffe://td.test/a");
	*revoker = (struct revoker){.root = test_cert_new(&root, NULL), .bundles = bundle_set_new()};
	revoker->intermediate = test_cert_new(&intermediate, revoker->root);
	revoker->leaf = test_cert_new(&leaf, revoker->intermediate);
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	struct span der = test_cert_der(revoker->root);
	assert_int_equal(bundle_new(&domain, &der, 1, &bundle, NULL), ERR_NONE);
	assert_int_equal(bundle_set_add(revoker->bundles, bundle, NULL), ERR_NONE);
}

static enum err publish(struct revoker *revoker, const struct test_cert *issuer, const struct test_crl_spec *spec)
{
	_cleanup_(buf_done) struct buf der = BUF_INIT(8192);
	test_crl_make(spec, issuer, &der);
	revoker->detail = (struct why){0};
	enum err err = bundle_set_add_crl(revoker->bundles, &domain, buf_span(&der), &revoker->detail);
	assert_int_equal(err, revoker->detail.err);
	return err;
}

static void publish_empty(struct revoker *revoker, const struct test_cert *issuer)
{
	struct test_crl_spec spec = test_crl_spec();
	assert_int_equal(publish(revoker, issuer, &spec), ERR_NONE);
}

static enum err judge(struct revoker *revoker)
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

#define REVOKER(name)                                                                                                  \
	_cleanup_(revoker_done) struct revoker name;                                                                   \
	revoker_init(&name)

static enum err judge_standing(struct revoker *revoker)
{
	struct span chain[] = {test_cert_der(revoker->leaf), test_cert_der(revoker->intermediate)};
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	assert_int_equal(svid_parse(chain, 2, &svid, NULL), ERR_NONE);
	return verify_still_trusted(svid, revoker->bundles, &revoker->detail);
}

static void finding_t7_revalidation_fails_when_the_root_is_removed_or_the_leaf_revoked(_unused_ void **state)
{
	REVOKER(revoker);
	assert_int_equal(judge_standing(&revoker), ERR_NONE);
	struct test_crl_spec spec = test_crl_spec();
	spec.revoked[0] = revoker.leaf;
	spec.next_update_s = TEST_NOW_S - 1; /* the list is stale, but the leaf stays revoked */
	assert_int_equal(publish(&revoker, revoker.intermediate, &spec), ERR_NONE);
	assert_int_equal(judge_standing(&revoker), ERR_REVOKED);
	REVOKER(other);
	REVOKER(peer);
	bundle_set_unref(peer.bundles);
	peer.bundles = bundle_set_ref(other.bundles); /* another root of the same name and trust domain */
	assert_int_equal(judge_standing(&peer), ERR_UNTRUSTED);
	bundle_set_unref(peer.bundles);
	peer.bundles = bundle_set_new();
	assert_int_equal(judge_standing(&peer), ERR_NO_BUNDLE);
}

static void finding_t7_revalidation_fails_when_an_authority_is_revoked(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_crl_spec spec = test_crl_spec();
	spec.revoked[0] = revoker.intermediate;
	assert_int_equal(publish(&revoker, revoker.root, &spec), ERR_NONE);
	assert_int_equal(judge_standing(&revoker), ERR_REVOKED);
}

static void finding_t7_revalidation_ignores_expiry_and_missing_or_invalid_lists(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_cert_spec leaf = test_leaf_spec("spiffe://td.test/a");
	leaf.not_after_s = TEST_NOW_S - 1;
	test_cert_free(revoker.leaf);
	revoker.leaf = test_cert_new(&leaf, revoker.intermediate);
	assert_int_equal(judge(&revoker), ERR_EXPIRED);
	assert_int_equal(judge_standing(&revoker), ERR_NONE);
	struct test_crl_spec forged = test_crl_spec();
	forged.revoked[0] = revoker.leaf;
	forged.has_wrong_signature = true;
	assert_int_equal(publish(&revoker, revoker.intermediate, &forged), ERR_NONE);
	assert_int_equal(judge_standing(&revoker), ERR_NONE);
}

static void finding_t7_anchors_are_compared_without_bans(_unused_ void **state)
{
	REVOKER(one);
	REVOKER(other);
	struct bundle_set *same = bundle_set_new();
	assert_int_equal(bundle_set_add(same, (struct bundle *)bundle_set_at(one.bundles, 0), NULL), ERR_NONE);
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td.test/a"), &id, NULL), ERR_NONE);
	bundle_set_ban_id(same, &id);
	assert_true(bundle_set_has_same_anchors(one.bundles, same));
	assert_false(bundle_set_has_same_anchors(one.bundles, other.bundles));
	publish_empty(&one, one.root);
	assert_false(bundle_set_has_same_anchors(one.bundles, same));
	bundle_set_unref(same);
}

static void D21_accepts_certificates_on_no_list(_unused_ void **state)
{
	REVOKER(revoker);
	publish_empty(&revoker, revoker.root);
	publish_empty(&revoker, revoker.intermediate);
	assert_int_equal(judge(&revoker), ERR_NONE);
}

static void D21_refuses_a_revoked_leaf(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_crl_spec spec = test_crl_spec();
	spec.revoked[0] = revoker.leaf;
	publish_empty(&revoker, revoker.root);
	assert_int_equal(publish(&revoker, revoker.intermediate, &spec), ERR_NONE);
	assert_int_equal(judge(&revoker), ERR_REVOKED);
	assert_non_null(strstr(revoker.detail.got, "the leaf"));
}

static void D21_refuses_a_revoked_intermediate(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_crl_spec spec = test_crl_spec();
	spec.revoked[0] = revoker.intermediate;
	assert_int_equal(publish(&revoker, revoker.root, &spec), ERR_NONE);
	publish_empty(&revoker, revoker.intermediate);
	assert_int_equal(judge(&revoker), ERR_REVOKED);
	assert_non_null(strstr(revoker.detail.got, "certificate 2"));
}

static void D21_fails_closed_on_a_stale_list(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_crl_spec spec = test_crl_spec();
	spec.next_update_s = TEST_NOW_S - 1;
	publish_empty(&revoker, revoker.root);
	assert_int_equal(publish(&revoker, revoker.intermediate, &spec), ERR_NONE);
	assert_int_equal(judge(&revoker), ERR_REVOKED);
	assert_non_null(strstr(revoker.detail.expected, "fresh"));
}

static void D21_fails_closed_on_a_list_from_the_future(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_crl_spec spec = test_crl_spec();
	spec.this_update_s = TEST_NOW_S + 1;
	publish_empty(&revoker, revoker.root);
	assert_int_equal(publish(&revoker, revoker.intermediate, &spec), ERR_NONE);
	assert_int_equal(judge(&revoker), ERR_REVOKED);
}

static void D21_fails_closed_when_an_authority_has_no_list(_unused_ void **state)
{
	REVOKER(revoker);
	publish_empty(&revoker, revoker.root);
	assert_int_equal(judge(&revoker), ERR_REVOKED);
}

static void D21_fails_closed_on_a_list_with_a_foreign_signature(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_crl_spec spec = test_crl_spec();
	spec.has_wrong_signature = true;
	publish_empty(&revoker, revoker.root);
	enum err err = publish(&revoker, revoker.intermediate, &spec);
	assert_true(err == ERR_NONE || err == ERR_MALFORMED); /* the flip may break the format of the signature */
	assert_int_equal(judge(&revoker), ERR_REVOKED);
}

static void D21_refuses_malformed_lists_when_added(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_crl_spec forever = test_crl_spec(), limited = test_crl_spec();
	forever.next_update_s = 0;
	limited.is_of_limited_scope = true;
	assert_int_equal(publish(&revoker, revoker.root, &forever), ERR_UNSUPPORTED);
	assert_int_equal(publish(&revoker, revoker.root, &limited), ERR_UNSUPPORTED);
	assert_int_equal(bundle_set_add_crl(revoker.bundles, &domain, SPAN_LITERAL("\x30\x00"), NULL), ERR_MALFORMED);
	assert_int_equal(bundle_set_add_crl(revoker.bundles, &domain, SPAN_LITERAL(""), NULL), ERR_MALFORMED);
}

/* In a full list BoringSSL would treat the certificate as not revoked. */
static void finding_t6_refuses_a_full_list_with_remove_from_crl(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_crl_spec spec = test_crl_spec();
	spec.revoked[0] = revoker.leaf;
	spec.has_remove_from_crl = true;
	assert_int_equal(publish(&revoker, revoker.intermediate, &spec), ERR_MALFORMED);
}

static void finding_t6_a_stale_list_beside_a_fresh_one_refuses_nothing(_unused_ void **state)
{
	for (int fresh_first = 0; fresh_first < 2; fresh_first++) {
		REVOKER(revoker);
		struct test_crl_spec stale = test_crl_spec();
		stale.this_update_s = TEST_NOW_S - 7200;
		stale.next_update_s = TEST_NOW_S - 1;
		publish_empty(&revoker, revoker.root);
		if (fresh_first)
			publish_empty(&revoker, revoker.intermediate);
		assert_int_equal(publish(&revoker, revoker.intermediate, &stale), ERR_NONE);
		if (!fresh_first)
			publish_empty(&revoker, revoker.intermediate);
		assert_int_equal(judge(&revoker), ERR_NONE);
	}
}

/* Of two fresh lists the newer one applies, in either order. */
static void finding_t6_the_newest_fresh_list_of_an_authority_counts(_unused_ void **state)
{
	for (int newer_first = 0; newer_first < 2; newer_first++) {
		REVOKER(revoker);
		struct test_crl_spec older = test_crl_spec(), newer = test_crl_spec();
		older.this_update_s = TEST_NOW_S - 7200;
		newer.revoked[0] = revoker.leaf;
		publish_empty(&revoker, revoker.root);
		if (newer_first)
			assert_int_equal(publish(&revoker, revoker.intermediate, &newer), ERR_NONE);
		assert_int_equal(publish(&revoker, revoker.intermediate, &older), ERR_NONE);
		if (!newer_first)
			assert_int_equal(publish(&revoker, revoker.intermediate, &newer), ERR_NONE);
		assert_int_equal(judge(&revoker), ERR_REVOKED);
	}
}

static void refuses_a_list_for_a_domain_without_bundle(_unused_ void **state)
{
	REVOKER(revoker);
	static const struct trust_domain other = {"other.test"};
	assert_int_equal(bundle_set_add_crl(revoker.bundles, &other, SPAN_LITERAL("\x30\x00"), NULL), ERR_NO_BUNDLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding_t7_revalidation_fails_when_the_root_is_removed_or_the_leaf_revoked),
		cmocka_unit_test(finding_t7_revalidation_fails_when_an_authority_is_revoked),
		cmocka_unit_test(finding_t7_revalidation_ignores_expiry_and_missing_or_invalid_lists),
		cmocka_unit_test(finding_t7_anchors_are_compared_without_bans),
		cmocka_unit_test(D21_accepts_certificates_on_no_list),
		cmocka_unit_test(D21_refuses_a_revoked_leaf),
		cmocka_unit_test(D21_refuses_a_revoked_intermediate),
		cmocka_unit_test(D21_fails_closed_on_a_stale_list),
		cmocka_unit_test(D21_fails_closed_on_a_list_from_the_future),
		cmocka_unit_test(D21_fails_closed_when_an_authority_has_no_list),
		cmocka_unit_test(D21_fails_closed_on_a_list_with_a_foreign_signature),
		cmocka_unit_test(D21_refuses_malformed_lists_when_added),
		cmocka_unit_test(finding_t6_refuses_a_full_list_with_remove_from_crl),
		cmocka_unit_test(finding_t6_a_stale_list_beside_a_fresh_one_refuses_nothing),
		cmocka_unit_test(finding_t6_the_newest_fresh_list_of_an_authority_counts),
		cmocka_unit_test(refuses_a_list_for_a_domain_without_bundle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
