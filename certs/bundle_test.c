#include "certs/bundle.h"
#include "certs/test_ca.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

static const struct trust_domain domain = {"td.test"};

static enum err judge_root(const struct test_cert_spec *spec, const struct test_cert *issuer)
{
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(spec, issuer);
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	struct span der = test_cert_der(cert);
	struct why why = {0};
	enum err err = bundle_new(&domain, &der, 1, &bundle, &why);
	assert_int_equal(err, why.err);
	assert_int_equal(err == ERR_NONE, bundle != NULL);
	return err;
}

static void accepts_a_root_and_keeps_its_bytes(_unused_ void **state)
{
	struct test_cert_spec spec = test_ca_spec("root");
	spec.names[0] = TEST_URI("spiffe://td.test");
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&spec, NULL);
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	struct span der = test_cert_der(cert);
	assert_int_equal(bundle_new(&domain, &der, 1, &bundle, NULL), ERR_NONE);
	assert_int_equal(bundle_num_roots(bundle), 1);
	assert_true(span_eq(bundle_root(bundle, 0), der));
	assert_string_equal(bundle_trust_domain(bundle)->name, "td.test");
}

static void accepts_no_roots_at_all(_unused_ void **state)
{
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	assert_int_equal(bundle_new(&domain, NULL, 0, &bundle, NULL), ERR_NONE);
	assert_int_equal(bundle_num_roots(bundle), 0);
}

static void accepts_a_root_without_key_usage(_unused_ void **state)
{
	struct test_cert_spec spec = test_ca_spec("root");
	spec.key_usage = TEST_KU_NONE;
	assert_int_equal(judge_root(&spec, NULL), ERR_NONE);
}

static void D7_refuses_a_leaf_as_root(_unused_ void **state)
{
	struct test_cert_spec spec = test_leaf_spec("spiffe://td.test/a");
	spec.subject = "leaf";
	assert_int_equal(judge_root(&spec, NULL), ERR_NOT_SVID);
}

static void refuses_an_intermediate_as_root(_unused_ void **state)
{
	struct test_cert_spec root = test_ca_spec("root"), same_name = test_ca_spec("root"),
			      other = test_ca_spec("intermediate");
	_cleanup_(test_cert_freep) struct test_cert *issuer = test_cert_new(&root, NULL);
	assert_int_equal(judge_root(&other, issuer), ERR_NOT_SVID);
	assert_int_equal(judge_root(&same_name, issuer), ERR_NOT_SVID);
}

static void D14_refuses_an_unknown_critical_extension_on_a_root(_unused_ void **state)
{
	struct test_cert_spec spec = test_ca_spec("root");
	spec.extensions[0] = (struct test_extension){.oid = "1.3.6.1.4.1.99999.1", .is_critical = true};
	assert_int_equal(judge_root(&spec, NULL), ERR_NOT_SVID);
}

static void D14_refuses_a_version_1_root(_unused_ void **state)
{
	struct test_cert_spec spec = test_ca_spec("root");
	spec.version = 1;
	assert_int_equal(judge_root(&spec, NULL), ERR_NOT_SVID);
}

static void D17_refuses_a_root_whose_own_id_has_a_path_or_another_domain(_unused_ void **state)
{
	struct test_cert_spec spec = test_ca_spec("root");
	spec.names[0] = TEST_URI("spiffe://td.test/a");
	assert_int_equal(judge_root(&spec, NULL), ERR_NOT_SVID);
	spec.names[0] = TEST_URI("spiffe://other.test");
	assert_int_equal(judge_root(&spec, NULL), ERR_NOT_SVID);
}

static void D18_refuses_a_root_with_a_weak_key(_unused_ void **state)
{
	struct test_cert_spec spec = test_ca_spec("root");
	spec.key = TEST_KEY_RSA_1024;
	assert_int_equal(judge_root(&spec, NULL), ERR_WEAK_KEY);
}

static void refuses_a_root_without_a_subject(_unused_ void **state)
{
	struct test_cert_spec spec = test_ca_spec(NULL);
	assert_int_equal(judge_root(&spec, NULL), ERR_NOT_SVID);
}

static void refuses_too_many_roots_and_malformed_roots(_unused_ void **state)
{
	struct span odd[BUNDLE_ROOTS_MAX + 1] = {{(const uint8_t *)"\x30\x00", 2}};
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	assert_int_equal(bundle_new(&domain, odd, BUNDLE_ROOTS_MAX + 1, &bundle, NULL), ERR_LIMIT);
	assert_int_equal(bundle_new(&domain, odd, 1, &bundle, NULL), ERR_MALFORMED);
	assert_null(bundle);
}

static void compares_epochs(_unused_ void **state)
{
	struct epoch a = {1, 2}, b = {1, 3}, c = {2, 2};
	assert_true(epoch_eq(&a, &a));
	assert_false(epoch_eq(&a, &b));
	assert_false(epoch_eq(&a, &c));
}

static struct bundle *empty_bundle(const char *name)
{
	struct trust_domain named;
	struct bundle *bundle = NULL;
	assert_int_equal(trust_domain_parse(span_of_str(name), &named, NULL), ERR_NONE);
	assert_int_equal(bundle_new(&named, NULL, 0, &bundle, NULL), ERR_NONE);
	return bundle;
}

static void a_set_finds_bundles_by_the_exact_name(_unused_ void **state)
{
	_cleanup_(bundle_set_unrefp) struct bundle_set *set = bundle_set_new();
	_cleanup_(bundle_unrefp) struct bundle *bundle = empty_bundle("td.test");
	assert_int_equal(bundle_set_add(set, bundle, NULL), ERR_NONE);
	assert_ptr_equal(bundle_set_find(set, SPAN_LITERAL("td.test")), bundle);
	assert_null(bundle_set_find(set, SPAN_LITERAL("td.tes")));
	assert_null(bundle_set_find(set, SPAN_LITERAL("td.test.")));
	assert_null(bundle_set_find(set, SPAN_LITERAL("")));
}

static void a_set_refuses_a_second_bundle_of_one_domain(_unused_ void **state)
{
	_cleanup_(bundle_set_unrefp) struct bundle_set *set = bundle_set_new();
	_cleanup_(bundle_unrefp) struct bundle *first = empty_bundle("td.test"), *second = empty_bundle("td.test");
	assert_int_equal(bundle_set_add(set, first, NULL), ERR_NONE);
	assert_int_equal(bundle_set_add(set, second, NULL), ERR_EXISTS);
}

static void a_set_holds_at_most_its_limit(_unused_ void **state)
{
	_cleanup_(bundle_set_unrefp) struct bundle_set *set = bundle_set_new();
	for (unsigned i = 0; i <= BUNDLE_SET_MAX; i++) {
		char name[32];
		snprintf(name, sizeof(name), "td%u.test", i);
		_cleanup_(bundle_unrefp) struct bundle *bundle = empty_bundle(name);
		assert_int_equal(bundle_set_add(set, bundle, NULL), i < BUNDLE_SET_MAX ? ERR_NONE : ERR_LIMIT);
	}
}

static void a_set_finds_bans_added_in_any_order(_unused_ void **state)
{
	_cleanup_(bundle_set_unrefp) struct bundle_set *set = bundle_set_new();
	for (unsigned i = 0; i < 200; i++) {
		char text[64];
		_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
		snprintf(text, sizeof(text), "spiffe://td.test/w/%u", (i * 37) % 200);
		assert_int_equal(spiffe_id_parse(span_of_str(text), &id, NULL), ERR_NONE);
		assert_false(bundle_set_is_banned(set, &id));
		bundle_set_ban_id(set, &id);
		bundle_set_ban_id(set, &id);
		assert_true(bundle_set_is_banned(set, &id));
	}
	_cleanup_(spiffe_id_done) struct spiffe_id other = {0};
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td.test/w"), &other, NULL), ERR_NONE);
	assert_false(bundle_set_is_banned(set, &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_a_root_and_keeps_its_bytes),
		cmocka_unit_test(accepts_no_roots_at_all),
		cmocka_unit_test(accepts_a_root_without_key_usage),
		cmocka_unit_test(D7_refuses_a_leaf_as_root),
		cmocka_unit_test(refuses_an_intermediate_as_root),
		cmocka_unit_test(D14_refuses_an_unknown_critical_extension_on_a_root),
		cmocka_unit_test(D14_refuses_a_version_1_root),
		cmocka_unit_test(D17_refuses_a_root_whose_own_id_has_a_path_or_another_domain),
		cmocka_unit_test(D18_refuses_a_root_with_a_weak_key),
		cmocka_unit_test(refuses_a_root_without_a_subject),
		cmocka_unit_test(refuses_too_many_roots_and_malformed_roots),
		cmocka_unit_test(compares_epochs),
		cmocka_unit_test(a_set_finds_bundles_by_the_exact_name),
		cmocka_unit_test(a_set_refuses_a_second_bundle_of_one_domain),
		cmocka_unit_test(a_set_holds_at_most_its_limit),
		cmocka_unit_test(a_set_finds_bans_added_in_any_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
