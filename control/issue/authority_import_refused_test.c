/* What an import refuses, with its reason; nothing changes then. */
#include "control/issue/test_importing.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three above */
#include <cmocka.h>

/* By the order of the file: what is wrong is the intermediate, or the authority above it, wherever it stands. */
static void expect_named(struct importing *world, const struct test_cert *const certs[3], const char *got)
{
	static const unsigned turns[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	for (size_t i = 0; i < 6; i++) {
		_cleanup_(buf_done) struct buf pem = BUF_INIT(IMPORT_MAX);
		for (size_t at = 0; at < 3; at++)
			if (certs[turns[i][at]] != NULL)
				importing_put(&pem, certs[turns[i][at]]);
		assert_int_not_equal(importing_take(world, &pem, NULL), ERR_NONE);
		if (strstr(world->detail.got, got) == NULL)
			fail_msg("%s", world->detail.got);
		assert_null(strstr(world->detail.got, "of the chain"));
	}
}

static void names_the_certificate_that_is_wrong_in_each_order(void **state)
{
	struct importing *world = *state;
	struct test_cert_spec upper_spec = test_ca_spec("upper"), spec = importing_intermediate(world);
	_cleanup_(test_cert_freep) struct test_cert *upper = test_cert_new(&upper_spec, world->root);
	_cleanup_(test_cert_freep) struct test_cert *good = test_cert_new(&spec, upper);
	const struct test_cert *without_root[] = {good, upper, NULL}, *without_upper[] = {good, NULL, world->root};
	expect_named(world, without_root, "the file has the authority 'upper'");
	expect_named(world, without_upper, "the file has the intermediate 'intermediate'");
	spec.key_usage = TEST_KU_DIGITAL_SIGNATURE;
	_cleanup_(test_cert_freep) struct test_cert *weak = test_cert_new(&spec, upper);
	const struct test_cert *with_weak[] = {weak, upper, world->root};
	expect_named(world, with_weak, "the intermediate 'intermediate'");
	spec = importing_intermediate(world);
	upper_spec.key_usage = TEST_KU_DIGITAL_SIGNATURE;
	_cleanup_(test_cert_freep) struct test_cert *weak_upper = test_cert_new(&upper_spec, world->root);
	_cleanup_(test_cert_freep) struct test_cert *below = test_cert_new(&spec, weak_upper);
	const struct test_cert *with_weak_upper[] = {below, weak_upper, world->root};
	expect_named(world, with_weak_upper, "the authority above it 'upper'");
}

/* Each is refused with its reason, and nothing changes. */
static void C40_a_chain_that_no_sidecar_would_accept_is_refused(void **state)
{
	struct importing *world = *state;
	const struct test_cert_spec good = importing_intermediate(world);
	struct test_cert_spec bad[7] = {good, good, good, good, good, good, good};
	const enum err expected[] = {
		ERR_NOT_SVID, ERR_NOT_SVID, ERR_UNTRUSTED, ERR_NOT_SVID, ERR_EXPIRED, ERR_NOT_FOUND, ERR_NOT_YET_VALID};
	bad[0].is_ca = false;
	bad[0].path_length = -1;
	bad[1].key_usage = TEST_KU_DIGITAL_SIGNATURE;
	bad[2].permitted[0] = TEST_URI("other.test");
	bad[3].names[0] = TEST_URI("spiffe://other.test");
	bad[4].not_after_s = TEST_NOW_S + 30;
	bad[5].for_key = NULL; /* of another control plane */
	bad[6].not_before_s = TEST_NOW_S + 600;
	for (size_t i = 0; i < 7; i++) {
		assert_int_equal(importing_take_below(world, &bad[i], world->root), expected[i]);
		assert_true(world->detail.fix[0] != 0 && world->detail.expected[0] != 0);
	}
	struct test_cert_spec flat = test_ca_spec("flat root");
	flat.path_length = 0;
	_cleanup_(test_cert_freep) struct test_cert *flat_root = test_cert_new(&flat, NULL);
	assert_int_equal(importing_take_below(world, &good, flat_root), ERR_UNTRUSTED);
	assert_int_equal(importing_activate(world, world->root), ERR_NOT_FOUND);
	assert_int_equal(importing_take_below(world, &good, world->root), ERR_NONE);
}

static void C40_an_incomplete_or_endless_chain_is_refused(void **state)
{
	struct importing *world = *state;
	_cleanup_(buf_done) struct buf pem = BUF_INIT(IMPORT_MAX);
	const struct test_cert_spec spec = importing_intermediate(world);
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&spec, world->root);
	assert_int_equal(importing_take(world, &pem, NULL), ERR_MALFORMED);
	importing_put(&pem, cert);
	assert_int_equal(importing_take(world, &pem, NULL), ERR_UNTRUSTED); /* the root is missing */
	for (unsigned i = 0; i < 9; i++) {
		struct test_cert_spec other = test_ca_spec("other");
		_cleanup_(test_cert_freep) struct test_cert *more = test_cert_new(&other, NULL);
		importing_put(&pem, more);
	}
	assert_int_equal(importing_take(world, &pem, NULL), ERR_LIMIT);
}

static void another_root_than_that_of_the_rotation_is_refused(void **state)
{
	struct importing *world = *state;
	_cleanup_(buf_done) struct buf pem = BUF_INIT(IMPORT_MAX);
	const struct test_cert_spec spec = importing_intermediate(world);
	const uint8_t other[DIGEST_LEN] = {1};
	uint8_t own[DIGEST_LEN];
	importing_digest(world->root, own);
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&spec, world->root);
	importing_put(&pem, cert);
	importing_put(&pem, world->root);
	assert_int_equal(importing_take(world, &pem, other), ERR_EXISTS);
	assert_int_equal(importing_activate(world, world->root), ERR_NOT_FOUND);
	assert_int_equal(importing_take(world, &pem, own), ERR_NONE);
	world->authority.mark.epoch++; /* C17: a request of an older issuer */
	const struct import_request old = {.epoch = world->authority.mark.epoch - 1, .pem = buf_span(&pem)};
	assert_int_equal(authority_import(&world->authority, &old, &world->imported, &world->detail), ERR_CONFLICT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IMPORTING_TEST(names_the_certificate_that_is_wrong_in_each_order),
		IMPORTING_TEST(C40_a_chain_that_no_sidecar_would_accept_is_refused),
		IMPORTING_TEST(C40_an_incomplete_or_endless_chain_is_refused),
		IMPORTING_TEST(another_root_than_that_of_the_rotation_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
