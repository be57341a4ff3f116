#include "certs/test_mesh.h"
#include "certs/verify.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka wants the three above first */
#include <cmocka.h>

#define WORKLOAD "spiffe://td.test/a"

/* One trust domain, a root in its bundle, chains of at most six certificates below it. */
struct world {
	struct test_cert *root;
	struct bundle_set *bundles;
	struct test_cert *made[8];
	size_t num_made;
	struct span chain[8];
	size_t num_chain;
	struct why why;
};

static void trust(struct world *world, const char *trust_domain, const struct test_cert *root)
{
	struct trust_domain domain;
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	struct span der = root == NULL ? span_of(NULL, 0) : test_cert_der(root);
	assert_int_equal(trust_domain_parse(span_of_str(trust_domain), &domain, NULL), ERR_NONE);
	assert_int_equal(bundle_new(&domain, &der, root == NULL ? 0 : 1, &bundle, &world->why), ERR_NONE);
	assert_int_equal(bundle_set_add(world->bundles, bundle, NULL), ERR_NONE);
}

static void world_init_with(struct world *world, const struct test_cert_spec *root)
{
	*world = (struct world){.root = test_cert_new(root, NULL), .bundles = bundle_set_new()};
	trust(world, "td.test", world->root);
}

static void world_init(struct world *world)
{
	struct test_cert_spec spec = test_ca_spec("root");
	world_init_with(world, &spec);
}

static void world_done(struct world *world)
{
	for (size_t i = 0; i < world->num_made; i++)
		test_cert_free(world->made[i]);
	test_cert_free(world->root);
	bundle_set_unref(world->bundles);
}

#define WORLD(name)                                                                                                    \
	_cleanup_(world_done) struct world name;                                                                       \
	world_init(&name)

static struct test_cert *make(struct world *world, const struct test_cert_spec *spec, const struct test_cert *issuer)
{
	return world->made[world->num_made++] = test_cert_new(spec, issuer);
}

static void send_cert(struct world *world, const struct test_cert *cert)
{
	world->chain[world->num_chain++] = test_cert_der(cert);
}

static struct verify_input input_of(const struct world *world)
{
	return (struct verify_input){.chain = world->chain,
		.num_chain = world->num_chain,
		.bundles = world->bundles,
		.role = VERIFY_CLIENT,
		.now_s = TEST_NOW_S};
}

static enum err judge_with(struct world *world, const struct verify_input *input)
{
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	world->why = (struct why){0};
	enum err err = verify_chain(input, &svid, &world->why);
	char text[800];
	if (err != ERR_NONE)
		print_message("  %s\n", why_format(&world->why, text, sizeof(text)));
	assert_int_equal(err, world->why.err);
	assert_true((svid != NULL) == (err == ERR_NONE));
	return err;
}

static enum err judge(struct world *world)
{
	struct verify_input input = input_of(world);
	return judge_with(world, &input);
}

/* The verdict on a leaf of this kind, issued by the root. */
static enum err judge_leaf(struct world *world, const struct test_cert_spec *spec)
{
	send_cert(world, make(world, spec, world->root));
	return judge(world);
}

/* The verdict on a sound leaf below an intermediate of this kind. */
static enum err judge_below(struct world *world, const struct test_cert_spec *intermediate)
{
	struct test_cert_spec leaf = test_leaf_spec(WORKLOAD);
	struct test_cert *authority = make(world, intermediate, world->root);
	send_cert(world, make(world, &leaf, authority));
	send_cert(world, authority);
	return judge(world);
}

static void accepts_a_leaf_below_the_root(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	assert_int_equal(judge_leaf(&world, &spec), ERR_NONE);
}

static void accepts_a_leaf_below_an_intermediate(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_ca_spec("intermediate");
	assert_int_equal(judge_below(&world, &spec), ERR_NONE);
}

static void accepts_a_chain_that_carries_its_root(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	send_cert(&world, make(&world, &spec, world.root));
	send_cert(&world, world.root);
	assert_int_equal(judge(&world), ERR_NONE);
}

static void accepts_other_names_beside_the_one_uri(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.names[1] = (struct test_name){TEST_NAME_DNS, SPAN_LITERAL("a.td.test")};
	assert_int_equal(judge_leaf(&world, &spec), ERR_NONE);
}

static void accepts_a_leaf_without_extended_key_usage(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.purposes = TEST_EKU_NONE;
	assert_int_equal(judge_leaf(&world, &spec), ERR_NONE);
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
		assert_int_equal(judge_leaf(&world, &spec), ERR_NONE);
	}
}

static void refuses_an_empty_chain(_unused_ void **state)
{
	WORLD(world);
	assert_int_equal(judge(&world), ERR_NO_CERTIFICATE);
}

static void refuses_when_there_is_no_bundle_for_the_trust_domain(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec("spiffe://other.test/a");
	assert_int_equal(judge_leaf(&world, &spec), ERR_NO_BUNDLE);
}

static void refuses_everything_when_the_bundle_is_empty(_unused_ void **state)
{
	WORLD(world);
	trust(&world, "empty.test", NULL);
	struct test_cert_spec spec = test_leaf_spec("spiffe://empty.test/a");
	assert_int_equal(judge_leaf(&world, &spec), ERR_UNTRUSTED);
}

/* D4: the root of one domain signs an identity of another; bundles are never pooled. */
static void D4_refuses_an_identity_signed_by_another_domains_root(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec other = test_ca_spec("other root");
	trust(&world, "other.test", make(&world, &other, NULL));
	struct test_cert_spec spec = test_leaf_spec("spiffe://other.test/a");
	assert_int_equal(judge_leaf(&world, &spec), ERR_UNTRUSTED);
}

/* D6 */
static void D6_refuses_an_expired_leaf_by_one_second(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.not_after_s = TEST_NOW_S - 1;
	assert_int_equal(judge_leaf(&world, &spec), ERR_EXPIRED);
	assert_non_null(strstr(world.why.got, "the leaf"));
}

static void D6_accepts_a_leaf_in_its_only_second(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.not_before_s = TEST_NOW_S;
	spec.not_after_s = TEST_NOW_S + 1;
	assert_int_equal(judge_leaf(&world, &spec), ERR_NONE);
}

static void D6_refuses_a_leaf_that_is_not_yet_valid(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.not_before_s = TEST_NOW_S + 1;
	assert_int_equal(judge_leaf(&world, &spec), ERR_NOT_YET_VALID);
}

static void D6_refuses_an_expired_intermediate_and_names_it(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_ca_spec("intermediate");
	spec.not_after_s = TEST_NOW_S - 1;
	assert_int_equal(judge_below(&world, &spec), ERR_EXPIRED);
	assert_non_null(strstr(world.why.got, "certificate 2"));
	assert_non_null(strstr(world.why.got, "subject intermediate"));
}

static void D6_refuses_an_expired_root_and_names_it(_unused_ void **state)
{
	struct test_cert_spec root = test_ca_spec("root");
	root.not_after_s = TEST_NOW_S - 1;
	_cleanup_(world_done) struct world world;
	world_init_with(&world, &root);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	assert_int_equal(judge_leaf(&world, &spec), ERR_EXPIRED);
	assert_non_null(strstr(world.why.got, "the root"));
}

static void says_untrusted_and_not_expired_when_both_are_true(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec stranger = test_ca_spec("stranger"), spec = test_leaf_spec(WORKLOAD);
	spec.not_after_s = TEST_NOW_S - 1;
	send_cert(&world, make(&world, &spec, make(&world, &stranger, NULL)));
	assert_int_equal(judge(&world), ERR_UNTRUSTED);
}

/* D7 */
static void D7_refuses_a_self_signed_leaf(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.subject = "leaf";
	send_cert(&world, make(&world, &spec, NULL));
	assert_int_equal(judge(&world), ERR_UNTRUSTED);
}

static void D7_refuses_a_root_of_the_same_name_and_another_key(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec impostor = test_ca_spec("root"), spec = test_leaf_spec(WORKLOAD);
	spec.leaves_key_ids_out = true;
	struct test_cert *root = make(&world, &impostor, NULL);
	send_cert(&world, make(&world, &spec, root));
	send_cert(&world, root);
	assert_int_equal(judge(&world), ERR_UNTRUSTED);
}

static void D7_refuses_the_root_itself_as_leaf(_unused_ void **state)
{
	struct test_cert_spec root = test_ca_spec("root");
	root.names[0] = (struct test_name)TEST_URI("spiffe://td.test");
	_cleanup_(world_done) struct world world;
	world_init_with(&world, &root);
	send_cert(&world, world.root);
	assert_int_equal(judge(&world), ERR_NOT_SVID);
}

static void D7_refuses_an_intermediate_as_leaf(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_ca_spec("intermediate");
	assert_int_equal(judge_leaf(&world, &spec), ERR_NOT_SVID);
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
		assert_int_equal(judge_leaf(&world, &spec), ERR_NOT_SVID);
	}
}

/* D9 */
static void D9_refuses_two_uris_of_which_the_second_is_not_spiffe(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.names[1] = (struct test_name)TEST_URI("https://td.test/a");
	assert_int_equal(judge_leaf(&world, &spec), ERR_NOT_SVID);
}

static void D9_refuses_two_san_extensions(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.has_second_san = true;
	assert_int_equal(judge_leaf(&world, &spec), ERR_NOT_SVID);
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
		assert_int_equal(judge_leaf(&world, &spec), ERR_NOT_SVID);
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
		enum err err = judge_leaf(&world, &spec);
		assert_true(err == ERR_NOT_SVID || err == ERR_MALFORMED);
	}
}

/* D12 */
static void D12_refuses_a_leaf_that_is_an_authority(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.is_ca = true;
	assert_int_equal(judge_leaf(&world, &spec), ERR_NOT_SVID);
}

static void D12_refuses_other_key_usages(_unused_ void **state)
{
	static const int usages[] = {TEST_KU_NONE, 0, 0x20, TEST_KU_DIGITAL_SIGNATURE | TEST_KU_KEY_CERT_SIGN,
		TEST_KU_DIGITAL_SIGNATURE | TEST_KU_CRL_SIGN};
	for (size_t i = 0; i < sizeof(usages) / sizeof(usages[0]); i++) {
		WORLD(world);
		struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
		spec.key_usage = usages[i];
		assert_int_equal(judge_leaf(&world, &spec), ERR_NOT_SVID);
	}
}

static void D12_refuses_a_key_usage_that_is_not_critical(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.is_key_usage_critical = false;
	assert_int_equal(judge_leaf(&world, &spec), ERR_NOT_SVID);
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
		enum err err = judge_leaf(&world, &spec);
		assert_true(err == ERR_NOT_SVID || err == ERR_MALFORMED);
	}
}

static void D13_refuses_an_intermediate_without_both_purposes(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_ca_spec("intermediate");
	spec.purposes = TEST_EKU_SERVER;
	assert_int_equal(judge_below(&world, &spec), ERR_NOT_SVID);
}

/* D14 */
static void D14_refuses_an_unknown_critical_extension_on_leaf_or_intermediate(_unused_ void **state)
{
	struct test_extension unknown = {.oid = "1.3.6.1.4.1.99999.1", .is_critical = true};
	struct test_cert_spec leaf = test_leaf_spec(WORKLOAD), authority = test_ca_spec("intermediate");
	leaf.extensions[0] = authority.extensions[0] = unknown;
	WORLD(first);
	assert_int_equal(judge_leaf(&first, &leaf), ERR_NOT_SVID);
	WORLD(second);
	assert_int_equal(judge_below(&second, &authority), ERR_NOT_SVID);
}

static void D14_accepts_an_unknown_extension_that_is_not_critical(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.extensions[0].oid = "1.3.6.1.4.1.99999.1";
	assert_int_equal(judge_leaf(&world, &spec), ERR_NONE);
}

static void D14_refuses_version_1(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.version = 1;
	assert_int_equal(judge_leaf(&world, &spec), ERR_NOT_SVID);
}

static void D14_refuses_an_extension_twice(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.extensions[0].oid = spec.extensions[1].oid = "1.3.6.1.4.1.99999.1";
	assert_int_equal(judge_leaf(&world, &spec), ERR_NOT_SVID);
}

static void D14_refuses_a_serial_that_is_not_positive(_unused_ void **state)
{
	static const int64_t serials[] = {0, -1, -4711};
	for (size_t i = 0; i < sizeof(serials) / sizeof(serials[0]); i++) {
		WORLD(world);
		struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
		spec.has_serial = true;
		spec.serial = serials[i];
		assert_int_equal(judge_leaf(&world, &spec), ERR_NOT_SVID);
	}
}

static void D14_refuses_an_empty_subject_without_a_critical_san(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.is_san_critical = false;
	assert_int_equal(judge_leaf(&world, &spec), ERR_NOT_SVID);
}

static void accepts_a_subject_with_a_san_that_is_not_critical(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.is_san_critical = false;
	spec.subject = "a";
	assert_int_equal(judge_leaf(&world, &spec), ERR_NONE);
}

/* D15 */
static void D15_refuses_a_violated_name_constraint(_unused_ void **state)
{
	struct test_cert_spec permitted = test_ca_spec("permits"), excluded = test_ca_spec("excludes");
	permitted.permitted[0] = (struct test_name)TEST_URI("other.test");
	excluded.excluded[0] = (struct test_name)TEST_URI("td.test");
	WORLD(first);
	assert_int_equal(judge_below(&first, &permitted), ERR_UNTRUSTED);
	WORLD(second);
	assert_int_equal(judge_below(&second, &excluded), ERR_UNTRUSTED);
}

static void D15_accepts_a_name_constraint_that_holds(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_ca_spec("permits");
	spec.permitted[0] = (struct test_name)TEST_URI("td.test");
	assert_int_equal(judge_below(&world, &spec), ERR_NONE);
}

static void D15_refuses_a_name_constraint_that_nobody_checks(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_ca_spec("addresses");
	spec.permitted[0] = (struct test_name){TEST_NAME_IP, SPAN_LITERAL("\x0a\0\0\0\xff\0\0\0")};
	assert_int_equal(judge_below(&world, &spec), ERR_NOT_SVID);
}

/* D16 */
static void D16_refuses_a_path_longer_than_the_root_allows(_unused_ void **state)
{
	struct test_cert_spec root = test_ca_spec("root"), spec = test_ca_spec("intermediate");
	root.path_length = 0;
	_cleanup_(world_done) struct world world;
	world_init_with(&world, &root);
	assert_int_equal(judge_below(&world, &spec), ERR_UNTRUSTED);
}

static void D16_refuses_a_path_longer_than_an_intermediate_allows(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec upper = test_ca_spec("upper"), lower = test_ca_spec("lower"),
			      leaf = test_leaf_spec(WORKLOAD);
	upper.path_length = 0;
	struct test_cert *first = make(&world, &upper, world.root), *second = make(&world, &lower, first);
	send_cert(&world, make(&world, &leaf, second));
	send_cert(&world, second);
	send_cert(&world, first);
	assert_int_equal(judge(&world), ERR_UNTRUSTED);
}

static void D16_accepts_a_path_as_long_as_allowed(_unused_ void **state)
{
	struct test_cert_spec root = test_ca_spec("root"), spec = test_ca_spec("intermediate");
	root.path_length = 1;
	spec.path_length = 0;
	_cleanup_(world_done) struct world world;
	world_init_with(&world, &root);
	assert_int_equal(judge_below(&world, &spec), ERR_NONE);
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
		assert_int_equal(judge_below(&world, specs[i]), ERR_NOT_SVID);
	}
}

static void D16_accepts_certificates_without_key_identifiers(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_ca_spec("intermediate");
	spec.leaves_key_ids_out = true;
	assert_int_equal(judge_below(&world, &spec), ERR_NONE);
}

static void refuses_a_leaf_whose_signature_does_not_match(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.has_wrong_signature = true;
	assert_int_equal(judge_leaf(&world, &spec), ERR_UNTRUSTED);
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
		assert_int_equal(judge_below(&world, &spec), ERR_NOT_SVID);
	}
}

static void D17_accepts_an_authority_whose_own_id_is_the_trust_domain(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_ca_spec("intermediate");
	spec.names[0] = (struct test_name)TEST_URI("spiffe://td.test");
	assert_int_equal(judge_below(&world, &spec), ERR_NONE);
}

/* D18 */
static void D18_refuses_weak_keys(_unused_ void **state)
{
	static const enum test_key_kind kinds[] = {TEST_KEY_P224, TEST_KEY_P521, TEST_KEY_RSA_1024, TEST_KEY_RSA_E3};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		WORLD(world);
		struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
		spec.key = kinds[i];
		assert_int_equal(judge_leaf(&world, &spec), ERR_WEAK_KEY);
	}
}

static void D18_refuses_a_sha1_signature(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.digest = "SHA1";
	assert_int_equal(judge_leaf(&world, &spec), ERR_WEAK_KEY);
}

static void D18_refuses_an_md5_signature(_unused_ void **state)
{
	struct test_cert_spec root = test_ca_spec("root");
	root.key = TEST_KEY_RSA_2048;
	_cleanup_(world_done) struct world world;
	world_init_with(&world, &root);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.digest = "MD5";
	assert_int_equal(judge_leaf(&world, &spec), ERR_WEAK_KEY);
}

/* D19 */
static void D19_refuses_more_than_four_certificates(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	send_cert(&world, make(&world, &spec, world.root));
	for (int i = 0; i < 4; i++)
		send_cert(&world, world.root);
	assert_int_equal(judge(&world), ERR_NOT_SVID);
}

static void D19_refuses_a_hundred_certificates_without_reading_them(_unused_ void **state)
{
	WORLD(world);
	struct span chain[100] = {{NULL, 0}};
	struct verify_input input = input_of(&world);
	input.chain = chain;
	input.num_chain = 100;
	assert_int_equal(judge_with(&world, &input), ERR_NOT_SVID);
}

static void D19_refuses_a_certificate_of_a_megabyte(_unused_ void **state)
{
	static const uint8_t huge[1024 * 1024] = {0x30, 0x83, 0x0f, 0xff, 0xfb};
	WORLD(world);
	world.chain[world.num_chain++] = span_of(huge, sizeof(huge));
	assert_int_equal(judge(&world), ERR_MALFORMED);
}

static void D19_refuses_more_extensions_than_anybody_needs(_unused_ void **state)
{
	char oids[TEST_EXTENSIONS_MAX][32];
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	for (int i = 0; i < TEST_EXTENSIONS_MAX; i++) {
		snprintf(oids[i], sizeof(oids[i]), "1.3.6.1.4.1.99999.%d", i + 1);
		spec.extensions[i].oid = oids[i];
	}
	assert_int_equal(judge_leaf(&world, &spec), ERR_NOT_SVID);
}

static void refuses_bytes_that_are_no_certificate(_unused_ void **state)
{
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	static const struct span odd[] = {{(const uint8_t *)"", 0}, {(const uint8_t *)"\x30\x00", 2},
		{(const uint8_t *)"hello", 5}, {(const uint8_t *)"\x30\x80\x00\x00", 4}};
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		WORLD(world);
		world.chain[world.num_chain++] = odd[i];
		assert_int_equal(judge(&world), ERR_MALFORMED);
	}
	WORLD(world);
	struct span der = test_cert_der(make(&world, &spec, world.root));
	uint8_t longer[2048] = {0};
	memcpy(longer, der.ptr, der.len);
	world.chain[world.num_chain++] = span_of(longer, der.len + 1);
	assert_int_equal(judge(&world), ERR_MALFORMED);
}

static void refuses_a_peer_that_is_not_the_expected_one(_unused_ void **state)
{
	WORLD(world);
	_cleanup_(spiffe_id_done) struct spiffe_id expected = {0};
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td.test/b"), &expected, NULL), ERR_NONE);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	send_cert(&world, make(&world, &spec, world.root));
	struct verify_input input = input_of(&world);
	input.expected = &expected;
	assert_int_equal(judge_with(&world, &input), ERR_WRONG_PEER);
	assert_string_equal(world.why.expected, "spiffe://td.test/b");
	assert_string_equal(world.why.got, WORKLOAD);
}

static void refuses_a_reserved_identity_unless_it_is_asked_for(_unused_ void **state)
{
	WORLD(world);
	struct test_cert_spec spec = test_leaf_spec("spiffe://td.test/handfast/control");
	assert_int_equal(judge_leaf(&world, &spec), ERR_WRONG_PEER);
	struct verify_input input = input_of(&world);
	input.may_be_reserved = true;
	assert_int_equal(judge_with(&world, &input), ERR_NONE);
}

static void D21_refuses_a_banned_identity(_unused_ void **state)
{
	WORLD(world);
	_cleanup_(spiffe_id_done) struct spiffe_id banned = {0};
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL(WORKLOAD), &banned, NULL), ERR_NONE);
	bundle_set_ban_id(world.bundles, &banned);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	assert_int_equal(judge_leaf(&world, &spec), ERR_REVOKED);
}

/* A rotation under one name: SPIRE's roots, for one, all have the same subject. */
static void finds_the_right_one_among_roots_of_the_same_name(_unused_ void **state)
{
	struct world world = {.bundles = bundle_set_new()};
	struct test_cert_spec spec = test_ca_spec("root"), leaf = test_leaf_spec(WORKLOAD);
	spec.leaves_key_ids_out = leaf.leaves_key_ids_out = true;
	struct span roots[3];
	for (size_t i = 0; i < 3; i++)
		roots[i] = test_cert_der(make(&world, &spec, NULL));
	struct trust_domain domain = {"td.test"};
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	assert_int_equal(bundle_new(&domain, roots, 3, &bundle, NULL), ERR_NONE);
	assert_int_equal(bundle_set_add(world.bundles, bundle, NULL), ERR_NONE);
	for (size_t i = 0; i < 3; i++) {
		world.num_chain = 0;
		send_cert(&world, make(&world, &leaf, world.made[i]));
		assert_int_equal(judge(&world), ERR_NONE);
	}
	world_done(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_a_leaf_below_the_root),
		cmocka_unit_test(accepts_a_leaf_below_an_intermediate),
		cmocka_unit_test(accepts_a_chain_that_carries_its_root),
		cmocka_unit_test(accepts_other_names_beside_the_one_uri),
		cmocka_unit_test(accepts_a_leaf_without_extended_key_usage),
		cmocka_unit_test(accepts_each_allowed_kind_of_key),
		cmocka_unit_test(refuses_an_empty_chain),
		cmocka_unit_test(refuses_when_there_is_no_bundle_for_the_trust_domain),
		cmocka_unit_test(refuses_everything_when_the_bundle_is_empty),
		cmocka_unit_test(D4_refuses_an_identity_signed_by_another_domains_root),
		cmocka_unit_test(D6_refuses_an_expired_leaf_by_one_second),
		cmocka_unit_test(D6_accepts_a_leaf_in_its_only_second),
		cmocka_unit_test(D6_refuses_a_leaf_that_is_not_yet_valid),
		cmocka_unit_test(D6_refuses_an_expired_intermediate_and_names_it),
		cmocka_unit_test(D6_refuses_an_expired_root_and_names_it),
		cmocka_unit_test(says_untrusted_and_not_expired_when_both_are_true),
		cmocka_unit_test(D7_refuses_a_self_signed_leaf),
		cmocka_unit_test(D7_refuses_a_root_of_the_same_name_and_another_key),
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
		cmocka_unit_test(D13_refuses_an_intermediate_without_both_purposes),
		cmocka_unit_test(D14_refuses_an_unknown_critical_extension_on_leaf_or_intermediate),
		cmocka_unit_test(D14_accepts_an_unknown_extension_that_is_not_critical),
		cmocka_unit_test(D14_refuses_version_1),
		cmocka_unit_test(D14_refuses_an_extension_twice),
		cmocka_unit_test(D14_refuses_a_serial_that_is_not_positive),
		cmocka_unit_test(D14_refuses_an_empty_subject_without_a_critical_san),
		cmocka_unit_test(accepts_a_subject_with_a_san_that_is_not_critical),
		cmocka_unit_test(D15_refuses_a_violated_name_constraint),
		cmocka_unit_test(D15_accepts_a_name_constraint_that_holds),
		cmocka_unit_test(D15_refuses_a_name_constraint_that_nobody_checks),
		cmocka_unit_test(D16_refuses_a_path_longer_than_the_root_allows),
		cmocka_unit_test(D16_refuses_a_path_longer_than_an_intermediate_allows),
		cmocka_unit_test(D16_accepts_a_path_as_long_as_allowed),
		cmocka_unit_test(D16_refuses_an_intermediate_that_is_no_authority),
		cmocka_unit_test(D16_accepts_certificates_without_key_identifiers),
		cmocka_unit_test(refuses_a_leaf_whose_signature_does_not_match),
		cmocka_unit_test(D17_refuses_an_authority_whose_own_id_has_a_path_or_another_domain),
		cmocka_unit_test(D17_accepts_an_authority_whose_own_id_is_the_trust_domain),
		cmocka_unit_test(D18_refuses_weak_keys),
		cmocka_unit_test(D18_refuses_a_sha1_signature),
		cmocka_unit_test(D18_refuses_an_md5_signature),
		cmocka_unit_test(D19_refuses_more_than_four_certificates),
		cmocka_unit_test(D19_refuses_a_hundred_certificates_without_reading_them),
		cmocka_unit_test(D19_refuses_a_certificate_of_a_megabyte),
		cmocka_unit_test(D19_refuses_more_extensions_than_anybody_needs),
		cmocka_unit_test(refuses_bytes_that_are_no_certificate),
		cmocka_unit_test(refuses_a_peer_that_is_not_the_expected_one),
		cmocka_unit_test(refuses_a_reserved_identity_unless_it_is_asked_for),
		cmocka_unit_test(D21_refuses_a_banned_identity),
		cmocka_unit_test(finds_the_right_one_among_roots_of_the_same_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
