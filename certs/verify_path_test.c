#include "certs/test_world.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

static void refuses_everything_when_the_bundle_is_empty(_unused_ void **state)
{
	WORLD(world);
	world_trust(&world, "empty.test", NULL);
	struct test_cert_spec spec = test_leaf_spec("spiffe://empty.test/a");
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_UNTRUSTED);
}

/* D4: the root of one domain signs an identity of another; bundles are never pooled. */
static void D4_refuses_an_identity_signed_by_another_domains_root(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec other = test_ca_spec("other root");
	world_trust(&world, "other.test", world_make(&world, &other, NULL));
	struct test_cert_spec spec = test_leaf_spec("spiffe://other.test/a");
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_UNTRUSTED);
}

/* D6 */
static void D6_refuses_an_expired_leaf_by_one_second(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.not_after_s = TEST_NOW_S - 1;
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_EXPIRED);
	assert_non_null(strstr(world.detail.got, "the leaf (" WORKLOAD ") expired at"));
	assert_non_null(strstr(world.detail.fix, "set this host's clock"));
}

static void D6_accepts_a_leaf_in_its_only_second(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.not_before_s = TEST_NOW_S;
	spec.not_after_s = TEST_NOW_S + 1;
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_NONE);
}

static void D6_refuses_a_leaf_that_is_not_yet_valid(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.not_before_s = TEST_NOW_S + 1;
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_NOT_YET_VALID);
}

static void D6_refuses_an_expired_intermediate_and_names_it(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_ca_spec("intermediate");
	spec.not_after_s = TEST_NOW_S - 1;
	assert_int_equal(world_judge_below(&world, &spec), ERR_EXPIRED);
	assert_non_null(strstr(world.detail.got, "certificate 2"));
	assert_non_null(strstr(world.detail.got, "subject intermediate"));
}

static void D6_refuses_an_expired_root_and_names_it(_unused_ void **state)
{
	struct test_cert_spec root = test_ca_spec("root");
	root.not_after_s = TEST_NOW_S - 1;
	_cleanup_(world_done) struct world world;
	world_init_with(&world, &root);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_EXPIRED);
	assert_non_null(strstr(world.detail.got, "the root"));
}

static void reports_untrusted_and_not_expired_when_both_apply(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec stranger = test_ca_spec("stranger"), spec = test_leaf_spec(WORKLOAD);
	spec.not_after_s = TEST_NOW_S - 1;
	world_send(&world, world_make(&world, &spec, world_make(&world, &stranger, NULL)));
	assert_int_equal(world_judge(&world), ERR_UNTRUSTED);
}

/* D7 */
static void D7_refuses_a_self_signed_leaf(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.subject = "leaf";
	world_send(&world, world_make(&world, &spec, NULL));
	assert_int_equal(world_judge(&world), ERR_UNTRUSTED);
}

static void D7_refuses_a_root_of_the_same_name_and_another_key(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec impostor = test_ca_spec("root"), spec = test_leaf_spec(WORKLOAD);
	spec.leaves_key_ids_out = true;
	struct test_cert *root = world_make(&world, &impostor, NULL);
	world_send(&world, world_make(&world, &spec, root));
	world_send(&world, root);
	assert_int_equal(world_judge(&world), ERR_UNTRUSTED);
}

static void D13_refuses_an_intermediate_without_both_purposes(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_ca_spec("intermediate");
	spec.purposes = TEST_EKU_SERVER;
	assert_int_equal(world_judge_below(&world, &spec), ERR_NOT_SVID);
}

/* D15 */
static void D15_refuses_a_violated_name_constraint(_unused_ void **state)
{
	struct test_cert_spec permitted = test_ca_spec("permits"), excluded = test_ca_spec("excludes");
	permitted.permitted[0] = (struct test_name)TEST_URI("other.test");
	excluded.excluded[0] = (struct test_name)TEST_URI("td.test");
	WORLD(first);
	assert_int_equal(world_judge_below(&first, &permitted), ERR_UNTRUSTED);
	WORLD(second);
	assert_int_equal(world_judge_below(&second, &excluded), ERR_UNTRUSTED);
}

static void D15_accepts_a_name_constraint_that_holds(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_ca_spec("permits");
	spec.permitted[0] = (struct test_name)TEST_URI("td.test");
	assert_int_equal(world_judge_below(&world, &spec), ERR_NONE);
}

static void D15_refuses_a_name_constraint_of_an_unchecked_kind(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_ca_spec("addresses");
	spec.permitted[0] = (struct test_name){TEST_NAME_IP, SPAN_LITERAL("\x0a\0\0\0\xff\0\0\0")};
	assert_int_equal(world_judge_below(&world, &spec), ERR_NOT_SVID);
}

/* D16 */
static void D16_refuses_a_path_longer_than_the_root_allows(_unused_ void **state)
{
	struct test_cert_spec root = test_ca_spec("root"), spec = test_ca_spec("intermediate");
	root.path_length = 0;
	_cleanup_(world_done) struct world world;
	world_init_with(&world, &root);
	assert_int_equal(world_judge_below(&world, &spec), ERR_UNTRUSTED);
}

static void D16_refuses_a_path_longer_than_an_intermediate_allows(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec upper = test_ca_spec("upper"), lower = test_ca_spec("lower"),
			      leaf = test_leaf_spec(WORKLOAD);
	upper.path_length = 0;
	struct test_cert *first = world_make(&world, &upper, world.root), *second = world_make(&world, &lower, first);
	world_send(&world, world_make(&world, &leaf, second));
	world_send(&world, second);
	world_send(&world, first);
	assert_int_equal(world_judge(&world), ERR_UNTRUSTED);
}

static void D16_accepts_a_path_as_long_as_allowed(_unused_ void **state)
{
	struct test_cert_spec root = test_ca_spec("root"), spec = test_ca_spec("intermediate");
	root.path_length = 1;
	spec.path_length = 0;
	_cleanup_(world_done) struct world world;
	world_init_with(&world, &root);
	assert_int_equal(world_judge_below(&world, &spec), ERR_NONE);
}

static void D16_refuses_an_intermediate_that_is_no_authority(_unused_ void **state)
{
	struct test_cert_spec not_ca = test_ca_spec("intermediate"), no_sign = not_ca, no_usage = not_ca, bare = not_ca;
	not_ca.is_ca = false;
	no_sign.key_usage = TEST_KU_CRL_SIGN;
	no_usage.key_usage = TEST_KU_NONE;
	bare.has_basic_constraints = false;
	const struct test_cert_spec *specs[] = {&not_ca, &no_sign, &no_usage, &bare};
	for (size_t i = 0; i < 4; i++) {
		WORLD(world);
		assert_int_equal(world_judge_below(&world, specs[i]), ERR_NOT_SVID);
	}
}

static void D16_accepts_certificates_without_key_identifiers(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_ca_spec("intermediate");
	spec.leaves_key_ids_out = true;
	assert_int_equal(world_judge_below(&world, &spec), ERR_NONE);
}

static void D20_refuses_a_leaf_whose_signature_does_not_match(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.has_wrong_signature = true;
	assert_int_equal(world_judge_leaf(&world, &spec), ERR_UNTRUSTED);
}

/* D17 */
static void D17_refuses_an_authority_whose_own_id_has_a_path_or_another_domain(_unused_ void **state)
{
	const struct test_name names[] = {
		TEST_URI("spiffe://td.test/ca"), TEST_URI("spiffe://other.test"), TEST_URI("SPIFFE://td.test")};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		WORLD(world);
		struct test_cert_spec spec = test_ca_spec("intermediate");
		spec.names[0] = names[i];
		assert_int_equal(world_judge_below(&world, &spec), ERR_NOT_SVID);
	}
}

static void D17_accepts_an_authority_whose_own_id_is_the_trust_domain(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_ca_spec("intermediate");
	spec.names[0] = (struct test_name)TEST_URI("spiffe://td.test");
	assert_int_equal(world_judge_below(&world, &spec), ERR_NONE);
}

/* A rotation under one name: for example, all roots of SPIRE have the same subject. */
static void finds_the_right_one_among_roots_of_the_same_name(_unused_ void **state)
{
	struct world world = {.bundles = bundle_set_new()};
	struct test_cert_spec spec = test_ca_spec("root"), leaf = test_leaf_spec(WORKLOAD);
	spec.leaves_key_ids_out = leaf.leaves_key_ids_out = true;
	struct span roots[3];
	for (size_t i = 0; i < 3; i++)
		roots[i] = test_cert_der(world_make(&world, &spec, NULL));
	struct trust_domain domain = {"td.test"};
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	assert_int_equal(bundle_new(&domain, roots, 3, &bundle, NULL), ERR_NONE);
	assert_int_equal(bundle_set_add(world.bundles, bundle, NULL), ERR_NONE);
	for (size_t i = 0; i < 3; i++) {
		world.num_chain = 0;
		world_send(&world, world_make(&world, &leaf, world.made[i]));
		assert_int_equal(world_judge(&world), ERR_NONE);
	}
	world_done(&world);
}

/* During a rotation a peer sends the old and the new certificate of its authority, with the same name. */
static void finding_t6_finds_the_right_one_among_authorities_of_one_name(_unused_ void **state)
{
	for (int right_first = 0; right_first < 2; right_first++) {
		WORLD(world);
		struct test_cert_spec authority = test_ca_spec("intermediate"), leaf = test_leaf_spec(WORKLOAD);
		authority.leaves_key_ids_out = leaf.leaves_key_ids_out = true;
		const struct test_cert *right = world_make(&world, &authority, world.root);
		const struct test_cert *other = world_make(&world, &authority, world.root);
		world_send(&world, world_make(&world, &leaf, right));
		world_send(&world, right_first ? right : other);
		world_send(&world, right_first ? other : right);
		assert_int_equal(world_judge(&world), ERR_NONE);
		world.num_chain--; /* with one of the two, only the right one is accepted */
		assert_int_equal(world_judge(&world), right_first ? ERR_NONE : ERR_UNTRUSTED);
	}
}

/* D19, nc-dos: the cost is names times constraints. */
static void D19_refuses_more_than_the_maximum_of_name_constraints(_unused_ void **state)
{
	/* permittedSubtrees of 80 empty DNS names. */
	uint8_t whole[8 + 80 * 4] = {0x30, 0x82, 0, 0, 0xa0, 0x82};
	whole[2] = (uint8_t)((sizeof(whole) - 4) >> 8);
	whole[3] = (uint8_t)(sizeof(whole) - 4);
	whole[6] = (80 * 4) >> 8;
	whole[7] = (80 * 4) & 0xff;
	for (size_t i = 0; i < 80; i++)
		memcpy(whole + 8 + 4 * i, "\x30\x02\x82\x00", 4);
	WORLD(world);
	struct test_cert_spec spec = test_ca_spec("constrained");
	spec.extensions[0] = (struct test_extension){"2.5.29.30", true, span_of(whole, sizeof(whole))};
	assert_int_equal(world_judge_below(&world, &spec), ERR_NOT_SVID);
	assert_non_null(strstr(world.detail.expected, "64"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_everything_when_the_bundle_is_empty),
		cmocka_unit_test(D4_refuses_an_identity_signed_by_another_domains_root),
		cmocka_unit_test(D6_refuses_an_expired_leaf_by_one_second),
		cmocka_unit_test(D6_accepts_a_leaf_in_its_only_second),
		cmocka_unit_test(D6_refuses_a_leaf_that_is_not_yet_valid),
		cmocka_unit_test(D6_refuses_an_expired_intermediate_and_names_it),
		cmocka_unit_test(D6_refuses_an_expired_root_and_names_it),
		cmocka_unit_test(reports_untrusted_and_not_expired_when_both_apply),
		cmocka_unit_test(D7_refuses_a_self_signed_leaf),
		cmocka_unit_test(D7_refuses_a_root_of_the_same_name_and_another_key),
		cmocka_unit_test(D13_refuses_an_intermediate_without_both_purposes),
		cmocka_unit_test(D15_refuses_a_violated_name_constraint),
		cmocka_unit_test(D15_accepts_a_name_constraint_that_holds),
		cmocka_unit_test(D15_refuses_a_name_constraint_of_an_unchecked_kind),
		cmocka_unit_test(D16_refuses_a_path_longer_than_the_root_allows),
		cmocka_unit_test(D16_refuses_a_path_longer_than_an_intermediate_allows),
		cmocka_unit_test(D16_accepts_a_path_as_long_as_allowed),
		cmocka_unit_test(D16_refuses_an_intermediate_that_is_no_authority),
		cmocka_unit_test(D16_accepts_certificates_without_key_identifiers),
		cmocka_unit_test(D20_refuses_a_leaf_whose_signature_does_not_match),
		cmocka_unit_test(D17_refuses_an_authority_whose_own_id_has_a_path_or_another_domain),
		cmocka_unit_test(D17_accepts_an_authority_whose_own_id_is_the_trust_domain),
		cmocka_unit_test(finding_t6_finds_the_right_one_among_authorities_of_one_name),
		cmocka_unit_test(finds_the_right_one_among_roots_of_the_same_name),
		cmocka_unit_test(D19_refuses_more_than_the_maximum_of_name_constraints),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
