#include "certs/test_world.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

static void accepts_a_leaf_below_the_root(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_NONE);
}

static void accepts_a_leaf_below_an_intermediate(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_ca_spec("intermediate");
	assert_int_equal(world_judge_below(&world, &spec), ERR_NONE);
}

static void accepts_a_chain_that_carries_its_root(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	world_send(&world, world_make(&world, &spec, world.root));
	world_send(&world, world.root);
	assert_int_equal(world_judge(&world), ERR_NONE);
}

static void refuses_an_empty_chain(_unused_ void **state)
{
	WORLD(world);
	assert_int_equal(world_judge(&world), ERR_NO_CERTIFICATE);
}

static void refuses_when_there_is_no_bundle_for_the_trust_domain(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec("spiffe://other.test/a");
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_NO_BUNDLE);
}

/* D19 */
static void D19_refuses_more_than_four_certificates(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	world_send(&world, world_make(&world, &spec, world.root));
	for (int i = 0; i < 4; i++)
		world_send(&world, world.root);
	assert_int_equal(world_judge(&world), ERR_NOT_SVID);
}

static void D19_refuses_a_hundred_certificates_without_reading_them(_unused_ void **state)
{
	WORLD(world);
	struct span chain[100] = {{NULL, 0}};
	struct verify_input input = world_input(&world);
	input.chain = chain;
	input.num_chain = 100;
	assert_int_equal(world_judge_with(&world, &input), ERR_NOT_SVID);
}

static void D19_refuses_a_certificate_of_a_megabyte(_unused_ void **state)
{
	static const uint8_t huge[1024 * 1024] = {0x30, 0x83, 0x0f, 0xff, 0xfb};
	WORLD(world);
	world.chain[world.num_chain++] = span_of(huge, sizeof(huge));
	assert_int_equal(world_judge(&world), ERR_MALFORMED);
}

static void D19_refuses_more_than_the_maximum_of_extensions(_unused_ void **state)
{
	char oids[TEST_EXTENSIONS_MAX][32];
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	for (int i = 0; i < TEST_EXTENSIONS_MAX; i++) {
		snprintf(oids[i], sizeof(oids[i]), "1.3.6.1.4.1.99999.%d", i + 1);
		spec.extensions[i].oid = oids[i];
	}
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_NOT_SVID);
}

static void refuses_bytes_that_are_not_a_certificate(_unused_ void **state)
{
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	static const struct span odd[] = {{(const uint8_t *)"", 0}, {(const uint8_t *)"\x30\x00", 2},
		{(const uint8_t *)"hello", 5}, {(const uint8_t *)"\x30\x80\x00\x00", 4}};
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		WORLD(world);
		world.chain[world.num_chain++] = odd[i];
		assert_int_equal(world_judge(&world), ERR_MALFORMED);
	}
	WORLD(world);
	struct span der = test_cert_der(world_make(&world, &spec, world.root));
	uint8_t longer[2048] = {0};
	memcpy(longer, der.ptr, der.len);
	world.chain[world.num_chain++] = span_of(longer, der.len + 1);
	assert_int_equal(world_judge(&world), ERR_MALFORMED);
}

static void refuses_a_peer_that_is_not_the_expected_one(_unused_ void **state)
{
	WORLD(world);
	_cleanup_(spiffe_id_done) struct spiffe_id expected = {0};
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td.test/b"), &expected, NULL), ERR_NONE);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	world_send(&world, world_make(&world, &spec, world.root));
	struct verify_input input = world_input(&world);
	input.expected = &expected;
	assert_int_equal(world_judge_with(&world, &input), ERR_WRONG_PEER);
	assert_string_equal(world.detail.expected, "spiffe://td.test/b");
	assert_string_equal(world.detail.got, "the peer is " WORKLOAD);
}

static void C15_refuses_a_reserved_identity_unless_it_is_allowed(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec("spiffe://td.test/handfast/control");
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_WRONG_PEER);
	struct verify_input input = world_input(&world);
	input.may_be_reserved = true;
	assert_int_equal(world_judge_with(&world, &input), ERR_NONE);
}

static void D21_refuses_a_banned_identity(_unused_ void **state)
{
	WORLD(world);
	_cleanup_(spiffe_id_done) struct spiffe_id banned = {0};
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL(WORKLOAD), &banned, NULL), ERR_NONE);
	bundle_set_ban_id(world.bundles, &banned);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_REVOKED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_a_leaf_below_the_root),
		cmocka_unit_test(accepts_a_leaf_below_an_intermediate),
		cmocka_unit_test(accepts_a_chain_that_carries_its_root),
		cmocka_unit_test(refuses_an_empty_chain),
		cmocka_unit_test(refuses_when_there_is_no_bundle_for_the_trust_domain),
		cmocka_unit_test(D19_refuses_more_than_four_certificates),
		cmocka_unit_test(D19_refuses_a_hundred_certificates_without_reading_them),
		cmocka_unit_test(D19_refuses_a_certificate_of_a_megabyte),
		cmocka_unit_test(D19_refuses_more_than_the_maximum_of_extensions),
		cmocka_unit_test(refuses_bytes_that_are_not_a_certificate),
		cmocka_unit_test(refuses_a_peer_that_is_not_the_expected_one),
		cmocka_unit_test(C15_refuses_a_reserved_identity_unless_it_is_allowed),
		cmocka_unit_test(D21_refuses_a_banned_identity),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
