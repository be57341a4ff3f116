#include "certs/test_world.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

static void accepts_other_names_beside_the_one_uri(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.names[1] = (struct test_name){TEST_NAME_DNS, SPAN_LITERAL("a.td.test")};
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_NONE);
}

static void accepts_a_leaf_without_extended_key_usage(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.purposes = TEST_EKU_NONE;
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_NONE);
}

static void accepts_each_allowed_kind_of_key(_unused_ void **state)
{
	static const enum test_key_kind kinds[] = {TEST_KEY_P384, TEST_KEY_ED25519, TEST_KEY_RSA_2048};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct test_cert_spec root = test_ca_spec("root");
		root.key = kinds[i];
		_cleanup_(world_done) struct world world;
		world_init_with(&world, &root);
		struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
		spec.key = kinds[i];
		assert_int_equal(world_judge_leaf(&world, &spec), ERR_NONE);
	}
}

static void D7_refuses_the_root_itself_as_leaf(_unused_ void **state)
{
	struct test_cert_spec root = test_ca_spec("root");
	root.names[0] = (struct test_name)TEST_URI("spiffe://td.test");
	_cleanup_(world_done) struct world world;
	world_init_with(&world, &root);
	world_send(&world, world.root);
	assert_int_equal(world_judge(&world), ERR_NOT_SVID);
}

static void D7_refuses_an_intermediate_as_leaf(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_ca_spec("intermediate");
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_NOT_SVID);
}

/* D8 */
static void D8_refuses_a_leaf_without_a_spiffe_uri(_unused_ void **state)
{
	const struct test_name names[] = {{TEST_NAME_NONE}, {TEST_NAME_DNS, {(const uint8_t *)"a", 1}},
		TEST_URI("https://td.test/a"), TEST_URI("Spiffe://td.test/a"), TEST_URI("spiffe://td.test")};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		WORLD(world);
		struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
		spec.names[0] = names[i];
		assert_int_equal(world_judge_leaf(&world, &spec), ERR_NOT_SVID);
	}
}

/* D9 */
static void D9_refuses_two_uris_of_which_the_second_is_not_spiffe(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.names[1] = (struct test_name)TEST_URI("https://td.test/a");
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_NOT_SVID);
}

static void D9_refuses_two_san_extensions(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.has_second_san = true;
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_NOT_SVID);
}

/* D10 (CVE-2022-21656) */
static void D10_refuses_a_spiffe_id_in_a_name_of_another_kind(_unused_ void **state)
{
	static const enum test_name_kind kinds[] = {TEST_NAME_DNS, TEST_NAME_EMAIL, TEST_NAME_OTHER};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		WORLD(world);
		struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
		spec.names[0].kind = kinds[i];
		spec.subject = "spiffe://td.test/a";
		assert_int_equal(world_judge_leaf(&world, &spec), ERR_NOT_SVID);
	}
}

/* D11 (CVE-2026-47778) */
static void D11_refuses_odd_bytes_in_the_uri(_unused_ void **state)
{
	const struct test_name names[] = {TEST_URI("spiffe://td.test/a\0b"), TEST_URI("spiffe://td.test\0.evil/a"),
		TEST_URI("spiffe://td.test/a\r\nb"), TEST_URI("spiffe://td.test/\xc3\xa9"),
		TEST_URI("spiffe://td.test/\xff"), TEST_URI("spiffe://td.test/a\0")};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		WORLD(world);
		struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
		spec.names[0] = names[i];
		enum err err = world_judge_leaf(&world, &spec);
		assert_true(err == ERR_NOT_SVID || err == ERR_MALFORMED);
	}
}

/* D12 */
static void D12_refuses_a_leaf_that_is_an_authority(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.is_ca = true;
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_NOT_SVID);
}

static void D12_refuses_other_key_usages(_unused_ void **state)
{
	static const int usages[] = {TEST_KU_NONE, 0, 0x20, TEST_KU_DIGITAL_SIGNATURE | TEST_KU_KEY_CERT_SIGN,
		TEST_KU_DIGITAL_SIGNATURE | TEST_KU_CRL_SIGN};
	for (size_t i = 0; i < sizeof(usages) / sizeof(usages[0]); i++) {
		WORLD(world);
		struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
		spec.key_usage = usages[i];
		assert_int_equal(world_judge_leaf(&world, &spec), ERR_NOT_SVID);
	}
}

static void D12_refuses_a_key_usage_that_is_not_critical(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.is_key_usage_critical = false;
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_NOT_SVID);
}

/* D13 */
static void D13_refuses_an_extended_key_usage_without_both_purposes(_unused_ void **state)
{
	static const unsigned purposes[] = {TEST_EKU_SERVER, TEST_EKU_CLIENT, TEST_EKU_ANY, TEST_EKU_EMAIL,
		TEST_EKU_EMPTY, TEST_EKU_SERVER | TEST_EKU_CLIENT | TEST_EKU_ANY};
	for (size_t i = 0; i < sizeof(purposes) / sizeof(purposes[0]); i++) {
		WORLD(world);
		struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
		spec.purposes = purposes[i];
		enum err err = world_judge_leaf(&world, &spec);
		assert_true(err == ERR_NOT_SVID || err == ERR_MALFORMED);
	}
}

/* D14 */
static void D14_refuses_an_unknown_critical_extension_on_leaf_or_intermediate(_unused_ void **state)
{
	struct test_extension unknown = {.oid = "1.3.6.1.4.1.99999.1", .is_critical = true};
	struct test_cert_spec leaf = test_leaf_spec(WORKLOAD), authority = test_ca_spec("intermediate");
	leaf.extensions[0] = authority.extensions[0] = unknown;
	WORLD(first);
	assert_int_equal(world_judge_leaf(&first, &leaf), ERR_NOT_SVID);
	WORLD(second);
	assert_int_equal(world_judge_below(&second, &authority), ERR_NOT_SVID);
}

static void D14_accepts_an_unknown_extension_that_is_not_critical(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.extensions[0].oid = "1.3.6.1.4.1.99999.1";
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_NONE);
}

static void D14_refuses_version_1(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.version = 1;
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_NOT_SVID);
}

static void D14_refuses_an_extension_twice(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.extensions[0].oid = spec.extensions[1].oid = "1.3.6.1.4.1.99999.1";
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_NOT_SVID);
}

static void D14_refuses_a_serial_that_is_not_positive(_unused_ void **state)
{
	static const int64_t serials[] = {0, -1, -4711};
	for (size_t i = 0; i < sizeof(serials) / sizeof(serials[0]); i++) {
		WORLD(world);
		struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
		spec.has_serial = true;
		spec.serial = serials[i];
		assert_int_equal(world_judge_leaf(&world, &spec), ERR_NOT_SVID);
	}
}

static void D14_refuses_an_empty_subject_without_a_critical_san(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.is_san_critical = false;
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_NOT_SVID);
}

static void accepts_a_subject_with_a_san_that_is_not_critical(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.is_san_critical = false;
	spec.subject = "a";
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_NONE);
}

/* D18 */
static void D18_refuses_weak_keys(_unused_ void **state)
{
	static const enum test_key_kind kinds[] = {TEST_KEY_P224, TEST_KEY_P521, TEST_KEY_RSA_1024, TEST_KEY_RSA_E3};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		WORLD(world);
		struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
		spec.key = kinds[i];
		assert_int_equal(world_judge_leaf(&world, &spec), ERR_WEAK_KEY);
	}
}

static void D18_refuses_a_sha1_signature(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.digest = "SHA1";
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_WEAK_KEY);
}

static void init_below_rsa(struct world *world)
{
	struct test_cert_spec root = test_ca_spec("root");
	root.key = TEST_KEY_RSA_2048;
	world_init_with(world, &root);
}

static void D18_refuses_an_md5_signature(_unused_ void **state)
{
	_cleanup_(world_done) struct world world;
	init_below_rsa(&world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.digest = "MD5";
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_WEAK_KEY);
}

static void D18_accepts_rsa_pss_of_sha2_alone(_unused_ void **state)
{
	_cleanup_(world_done) struct world world;
	init_below_rsa(&world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.pss = TEST_PSS_SHA256;
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_NONE);
	spec.pss = TEST_PSS_OTHER_SALT;
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_WEAK_KEY);
}

static void D19_refuses_more_than_the_maximum_of_names(_unused_ void **state)
{
	uint8_t der[4 + 100 * 3] = {0x30, 0x82, (100 * 3) >> 8, (100 * 3) & 0xff};
	for (size_t i = 0; i < 100; i++)
		memcpy(der + 4 + 3 * i,
			"\x82\x01"
			"a",
			3);
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.names[0] = (struct test_name){0};
	spec.extensions[0] = (struct test_extension){"2.5.29.17", true, span_of(der, sizeof(der))};
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_NOT_SVID);
	assert_non_null(strstr(world.detail.expected, "64"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_other_names_beside_the_one_uri),
		cmocka_unit_test(accepts_a_leaf_without_extended_key_usage),
		cmocka_unit_test(accepts_each_allowed_kind_of_key),
		cmocka_unit_test(D7_refuses_the_root_itself_as_leaf),
		cmocka_unit_test(D7_refuses_an_intermediate_as_leaf),
		cmocka_unit_test(D8_refuses_a_leaf_without_a_spiffe_uri),
		cmocka_unit_test(D9_refuses_two_uris_of_which_the_second_is_not_spiffe),
		cmocka_unit_test(D9_refuses_two_san_extensions),
		cmocka_unit_test(D10_refuses_a_spiffe_id_in_a_name_of_another_kind),
		cmocka_unit_test(D11_refuses_odd_bytes_in_the_uri),
		cmocka_unit_test(D12_refuses_a_leaf_that_is_an_authority),
		cmocka_unit_test(D12_refuses_other_key_usages),
		cmocka_unit_test(D12_refuses_a_key_usage_that_is_not_critical),
		cmocka_unit_test(D13_refuses_an_extended_key_usage_without_both_purposes),
		cmocka_unit_test(D14_refuses_an_unknown_critical_extension_on_leaf_or_intermediate),
		cmocka_unit_test(D14_accepts_an_unknown_extension_that_is_not_critical),
		cmocka_unit_test(D14_refuses_version_1),
		cmocka_unit_test(D14_refuses_an_extension_twice),
		cmocka_unit_test(D14_refuses_a_serial_that_is_not_positive),
		cmocka_unit_test(D14_refuses_an_empty_subject_without_a_critical_san),
		cmocka_unit_test(accepts_a_subject_with_a_san_that_is_not_critical),
		cmocka_unit_test(D18_refuses_weak_keys),
		cmocka_unit_test(D18_refuses_a_sha1_signature),
		cmocka_unit_test(D18_refuses_an_md5_signature),
		cmocka_unit_test(D18_accepts_rsa_pss_of_sha2_alone),
		cmocka_unit_test(D19_refuses_more_than_the_maximum_of_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
