/* D21: each authority has a list, as the verifier requires. */
#include "certs/test_revoker.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

static void D21_accepts_certificates_on_no_list(_unused_ void **state)
{
	REVOKER(revoker);
	revoker_publish_empty(&revoker, revoker.root);
	revoker_publish_empty(&revoker, revoker.intermediate);
	assert_int_equal(revoker_judge(&revoker), ERR_NONE);
}

static void D21_refuses_a_revoked_leaf(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_crl_spec spec = test_crl_spec();
	spec.revoked[0] = revoker.leaf;
	revoker_publish_empty(&revoker, revoker.root);
	assert_int_equal(revoker_publish(&revoker, revoker.intermediate, &spec), ERR_NONE);
	assert_int_equal(revoker_judge(&revoker), ERR_REVOKED);
	assert_non_null(strstr(revoker.detail.got, "the leaf"));
}

static void D21_refuses_a_revoked_intermediate(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_crl_spec spec = test_crl_spec();
	spec.revoked[0] = revoker.intermediate;
	assert_int_equal(revoker_publish(&revoker, revoker.root, &spec), ERR_NONE);
	revoker_publish_empty(&revoker, revoker.intermediate);
	assert_int_equal(revoker_judge(&revoker), ERR_REVOKED);
	assert_non_null(strstr(revoker.detail.got, "certificate 2"));
}

/* What a list names stays refused after its end; the rest is not refused with it. */
static void D21_a_stale_list_refuses_what_it_names_alone(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_crl_spec spec = test_crl_spec();
	struct revocation_lists lists;
	spec.next_update_s = TEST_NOW_S - 1;
	spec.revoked[0] = revoker.root; /* some other certificate */
	assert_int_equal(revoker_publish(&revoker, revoker.intermediate, &spec), ERR_NONE);
	assert_int_equal(revoker_judge(&revoker), ERR_NONE);
	bundle_set_lists(revoker.bundles, TEST_NOW_S, &lists);
	assert_true(lists.num == 1 && lists.num_stale == 1 && lists.num_skipped == 0);
	REVOKER(named);
	spec.revoked[0] = named.leaf;
	assert_int_equal(revoker_publish(&named, named.intermediate, &spec), ERR_NONE);
	assert_int_equal(revoker_judge(&named), ERR_REVOKED);
}

static void D21_a_list_from_the_future_refuses_what_it_names(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_crl_spec spec = test_crl_spec();
	spec.this_update_s = TEST_NOW_S + 1;
	spec.revoked[0] = revoker.leaf;
	assert_int_equal(revoker_publish(&revoker, revoker.intermediate, &spec), ERR_NONE);
	assert_int_equal(revoker_judge(&revoker), ERR_REVOKED);
}

static void an_authority_without_a_list_is_not_refused_by_that_of_another(_unused_ void **state)
{
	REVOKER(revoker);
	revoker_publish_empty(&revoker, revoker.root);
	assert_int_equal(revoker_judge(&revoker), ERR_NONE);
}

/* A root's is refused when it is added, another authority's when it would refuse. */
static void D21_a_list_with_a_foreign_signature_refuses_nothing(_unused_ void **state)
{
	REVOKER(revoker);
	REVOKER(stranger);
	struct test_crl_spec spec = test_crl_spec();
	spec.revoked[0] = revoker.leaf;
	spec.has_wrong_signature = true;
	enum err err = revoker_publish(&revoker, revoker.intermediate, &spec);
	assert_true(err == ERR_NONE || err == ERR_MALFORMED); /* the flip may break the format of the signature */
	assert_int_equal(revoker_judge(&revoker), ERR_NONE);
	spec.revoked[0] = revoker.intermediate;
	err = revoker_publish(&revoker, revoker.root, &spec);
	assert_true(err == ERR_CRYPTO || err == ERR_MALFORMED);
	assert_int_equal(revoker_judge(&revoker), ERR_NONE);
	spec.has_wrong_signature = false; /* another root of the same name: its key has another identifier */
	assert_int_equal(revoker_publish(&revoker, stranger.root, &spec), ERR_NONE);
	assert_int_equal(revoker_judge(&revoker), ERR_NONE);
}

/* RFC 5280 6.3.3 (f). */
static void a_list_of_a_key_that_may_not_sign_lists_refuses_nothing(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_cert_spec intermediate = test_ca_spec("intermediate"), leaf = test_leaf_spec("spiffe://td.test/a");
	intermediate.key_usage = TEST_KU_KEY_CERT_SIGN;
	test_cert_free(revoker.leaf);
	test_cert_free(revoker.intermediate);
	revoker.intermediate = test_cert_new(&intermediate, revoker.root);
	revoker.leaf = test_cert_new(&leaf, revoker.intermediate);
	struct test_crl_spec spec = test_crl_spec();
	spec.revoked[0] = revoker.leaf;
	assert_int_equal(revoker_publish(&revoker, revoker.intermediate, &spec), ERR_NONE);
	assert_int_equal(revoker_judge(&revoker), ERR_NONE);
}

/* RFC 5280 5.2.1, 5.2.3. */
static void refuses_a_list_without_key_identifier_or_number(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_crl_spec no_key = test_crl_spec(), no_number = test_crl_spec();
	no_key.leaves_key_id_out = true;
	no_number.leaves_number_out = true;
	assert_int_equal(revoker_publish(&revoker, revoker.root, &no_key), ERR_UNSUPPORTED);
	assert_int_equal(revoker_publish(&revoker, revoker.root, &no_number), ERR_UNSUPPORTED);
	struct revocation_lists lists;
	bundle_set_skip_crl(revoker.bundles, &revoker.detail);
	bundle_set_lists(revoker.bundles, TEST_NOW_S, &lists);
	assert_true(lists.num == 0 && lists.num_skipped == 1);
	assert_non_null(strstr(lists.first_skipped->got, "CRL number"));
}

/* An entry that the newer list no longer has is lifted, in either order. */
static void the_list_with_the_higher_number_stays(_unused_ void **state)
{
	for (int newer_first = 0; newer_first < 2; newer_first++) {
		REVOKER(revoker);
		_cleanup_(buf_done) struct buf der = BUF_INIT(8192), kept = BUF_INIT(8192);
		struct test_crl_spec older = test_crl_spec(), newer = test_crl_spec();
		older.number = 41;
		older.revoked[0] = revoker.leaf;
		newer.number = 42;
		test_crl_make(&newer, revoker.intermediate, &der);
		if (newer_first)
			assert_int_equal(
				bundle_set_add_crl(revoker.bundles, &revoker_domain, buf_span(&der), NULL), ERR_NONE);
		assert_int_equal(revoker_publish(&revoker, revoker.intermediate, &older), ERR_NONE);
		if (!newer_first)
			assert_int_equal(
				bundle_set_add_crl(revoker.bundles, &revoker_domain, buf_span(&der), NULL), ERR_NONE);
		assert_int_equal(revoker_judge(&revoker), ERR_NONE);
		assert_int_equal(bundle_set_num_crls(revoker.bundles, SPAN_LITERAL("td.test")), 1);
		assert_int_equal(bundle_set_put_crl(revoker.bundles, SPAN_LITERAL("td.test"), 0, &kept), ERR_NONE);
		assert_true(span_eq(buf_span(&kept), buf_span(&der)));
	}
}

static void D21_refuses_malformed_lists_when_added(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_crl_spec forever = test_crl_spec(), limited = test_crl_spec();
	forever.next_update_s = 0;
	limited.is_of_limited_scope = true;
	assert_int_equal(revoker_publish(&revoker, revoker.root, &forever), ERR_UNSUPPORTED);
	assert_int_equal(revoker_publish(&revoker, revoker.root, &limited), ERR_UNSUPPORTED);
	assert_int_equal(
		bundle_set_add_crl(revoker.bundles, &revoker_domain, SPAN_LITERAL("\x30\x00"), NULL), ERR_MALFORMED);
	assert_int_equal(bundle_set_add_crl(revoker.bundles, &revoker_domain, SPAN_LITERAL(""), NULL), ERR_MALFORMED);
}

/* In a full list BoringSSL would treat the certificate as not revoked. */
/* An authority whose certificates are accepted: its lists are, too. */
static void D21_refuses_what_a_list_signed_with_rsa_pss_names(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_cert_spec intermediate = test_ca_spec("intermediate"), leaf = test_leaf_spec("spiffe://td.test/a");
	struct test_crl_spec spec = test_crl_spec();
	intermediate.key = TEST_KEY_RSA_2048;
	leaf.pss = spec.pss = TEST_PSS_SHA256;
	test_cert_free(revoker.leaf);
	test_cert_free(revoker.intermediate);
	revoker.intermediate = test_cert_new(&intermediate, revoker.root);
	revoker.leaf = test_cert_new(&leaf, revoker.intermediate);
	assert_int_equal(revoker_publish(&revoker, revoker.intermediate, &spec), ERR_NONE);
	assert_int_equal(revoker_judge(&revoker), ERR_NONE);
	spec.revoked[0] = revoker.leaf;
	spec.number = spec.this_update_s + 1;
	assert_int_equal(revoker_publish(&revoker, revoker.intermediate, &spec), ERR_NONE);
	assert_int_equal(revoker_judge(&revoker), ERR_REVOKED);
}

/* BoringSSL would not verify it: a list that is accepted and refuses nothing would go unnoticed. */
static void D21_refuses_a_list_signed_with_another_kind_of_rsa_pss(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_cert_spec intermediate = test_ca_spec("intermediate");
	struct test_crl_spec spec = test_crl_spec();
	intermediate.key = TEST_KEY_RSA_2048;
	spec.pss = TEST_PSS_OTHER_SALT;
	test_cert_free(revoker.intermediate);
	revoker.intermediate = test_cert_new(&intermediate, revoker.root);
	assert_int_equal(revoker_publish(&revoker, revoker.intermediate, &spec), ERR_UNSUPPORTED);
	assert_non_null(strstr(revoker.detail.got, "signature algorithm"));
}

static void finding_t6_refuses_a_full_list_with_remove_from_crl(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_crl_spec spec = test_crl_spec();
	spec.revoked[0] = revoker.leaf;
	spec.has_remove_from_crl = true;
	assert_int_equal(revoker_publish(&revoker, revoker.intermediate, &spec), ERR_MALFORMED);
}

static void finding_t6_a_stale_list_beside_a_fresh_one_refuses_nothing(_unused_ void **state)
{
	for (int fresh_first = 0; fresh_first < 2; fresh_first++) {
		REVOKER(revoker);
		struct test_crl_spec stale = test_crl_spec();
		stale.this_update_s = TEST_NOW_S - 7200;
		stale.next_update_s = TEST_NOW_S - 1;
		revoker_publish_empty(&revoker, revoker.root);
		if (fresh_first)
			revoker_publish_empty(&revoker, revoker.intermediate);
		assert_int_equal(revoker_publish(&revoker, revoker.intermediate, &stale), ERR_NONE);
		if (!fresh_first)
			revoker_publish_empty(&revoker, revoker.intermediate);
		assert_int_equal(revoker_judge(&revoker), ERR_NONE);
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
		revoker_publish_empty(&revoker, revoker.root);
		if (newer_first)
			assert_int_equal(revoker_publish(&revoker, revoker.intermediate, &newer), ERR_NONE);
		assert_int_equal(revoker_publish(&revoker, revoker.intermediate, &older), ERR_NONE);
		if (!newer_first)
			assert_int_equal(revoker_publish(&revoker, revoker.intermediate, &newer), ERR_NONE);
		assert_int_equal(revoker_judge(&revoker), ERR_REVOKED);
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
		cmocka_unit_test(D21_accepts_certificates_on_no_list),
		cmocka_unit_test(D21_refuses_a_revoked_leaf),
		cmocka_unit_test(D21_refuses_a_revoked_intermediate),
		cmocka_unit_test(D21_a_stale_list_refuses_what_it_names_alone),
		cmocka_unit_test(D21_a_list_from_the_future_refuses_what_it_names),
		cmocka_unit_test(an_authority_without_a_list_is_not_refused_by_that_of_another),
		cmocka_unit_test(D21_a_list_with_a_foreign_signature_refuses_nothing),
		cmocka_unit_test(a_list_of_a_key_that_may_not_sign_lists_refuses_nothing),
		cmocka_unit_test(refuses_a_list_without_key_identifier_or_number),
		cmocka_unit_test(the_list_with_the_higher_number_stays),
		cmocka_unit_test(D21_refuses_malformed_lists_when_added),
		cmocka_unit_test(D21_refuses_what_a_list_signed_with_rsa_pss_names),
		cmocka_unit_test(D21_refuses_a_list_signed_with_another_kind_of_rsa_pss),
		cmocka_unit_test(finding_t6_refuses_a_full_list_with_remove_from_crl),
		cmocka_unit_test(finding_t6_a_stale_list_beside_a_fresh_one_refuses_nothing),
		cmocka_unit_test(finding_t6_the_newest_fresh_list_of_an_authority_counts),
		cmocka_unit_test(refuses_a_list_for_a_domain_without_bundle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
