#include "certs/credentials.h"
#include "certs/test_mesh.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

static const struct epoch epoch = {.incarnation = 7, .counter = 3};

static void hold_svid_key_bundles_and_epoch(_unused_ void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", TEST_NOW_S);
	_cleanup_(credentials_unrefp) struct credentials *credentials =
		test_mesh_credentials(mesh, "spiffe://td.test/a");
	assert_true(span_eq(spiffe_id_text(credentials_id(credentials)), SPAN_LITERAL("spiffe://td.test/a")));
	assert_ptr_equal(credentials_bundles(credentials), test_mesh_bundles(mesh));
	assert_int_equal(credentials_epoch(credentials).counter, 1);
	assert_non_null(credentials_key(credentials));
	assert_int_equal(svid_num_chain(credentials_svid(credentials)), 2);
}

static void have_a_generation_that_grows(_unused_ void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", TEST_NOW_S);
	_cleanup_(credentials_unrefp) struct credentials *first = test_mesh_credentials(mesh, "spiffe://td.test/a");
	_cleanup_(credentials_unrefp) struct credentials *second = test_mesh_credentials(mesh, "spiffe://td.test/a");
	assert_true(credentials_generation(first) > 0);
	assert_true(credentials_generation(second) > credentials_generation(first));
}

static void are_valid_from_first_to_last_second(_unused_ void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", TEST_NOW_S);
	_cleanup_(credentials_unrefp) struct credentials *credentials =
		test_mesh_credentials_until(mesh, "spiffe://td.test/a", TEST_NOW_S + 60, NULL);
	assert_false(credentials_are_valid(credentials, TEST_NOW_S - 3601));
	assert_true(credentials_are_valid(credentials, TEST_NOW_S - 3600));
	assert_true(credentials_are_valid(credentials, TEST_NOW_S + 59));
	assert_false(credentials_are_valid(credentials, TEST_NOW_S + 60));
}

static void end_with_their_root(_unused_ void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", TEST_NOW_S);
	_cleanup_(bundle_set_unrefp) struct bundle_set *bundles = test_mesh_bundles_until(mesh, TEST_NOW_S + 600);
	_cleanup_(credentials_unrefp) struct credentials *credentials =
		test_mesh_credentials_until(mesh, "spiffe://td.test/a", TEST_NOW_S + 3600, bundles);
	assert_int_equal(svid_not_after_s(credentials_svid(credentials)), TEST_NOW_S + 3600);
	assert_int_equal(credentials_until_s(credentials), TEST_NOW_S + 600);
	assert_true(credentials_are_valid(credentials, TEST_NOW_S + 599));
	assert_false(credentials_are_valid(credentials, TEST_NOW_S + 600));
}

static enum err judge(const struct test_mesh *mesh, const struct test_cert_spec *spec, struct private_key *key,
	struct bundle_set *bundles, int64_t now_s)
{
	_cleanup_(svid_unrefp) struct svid *svid = test_mesh_svid(mesh, spec);
	_cleanup_(credentials_unrefp) struct credentials *credentials = NULL;
	struct why why = {0};
	enum err err = credentials_new(svid, key, bundles, epoch, now_s, &credentials, &why);
	assert_int_equal(err, why.err);
	assert_int_equal(err == ERR_NONE, credentials != NULL);
	return err;
}

/* C14: wrong answers of the control plane are not published. */
static void C14_refuse_a_leaf_for_another_key(_unused_ void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", TEST_NOW_S);
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate(), *other = private_key_generate();
	struct test_cert_spec spec = test_leaf_spec("spiffe://td.test/a");
	spec.for_key = key;
	assert_int_equal(judge(mesh, &spec, key, test_mesh_bundles(mesh), TEST_NOW_S), ERR_NONE);
	assert_int_equal(judge(mesh, &spec, other, test_mesh_bundles(mesh), TEST_NOW_S), ERR_KEY_MISMATCH);
}

static void C14_refuse_what_does_not_verify_against_their_own_bundles(_unused_ void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", TEST_NOW_S);
	_cleanup_(test_mesh_freep) struct test_mesh *same_name = test_mesh_new("td.test", TEST_NOW_S);
	_cleanup_(bundle_set_unrefp) struct bundle_set *empty = bundle_set_new();
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	struct test_cert_spec spec = test_leaf_spec("spiffe://td.test/a");
	spec.for_key = key;
	assert_int_equal(judge(mesh, &spec, key, test_mesh_bundles(same_name), TEST_NOW_S), ERR_UNTRUSTED);
	assert_int_equal(judge(mesh, &spec, key, empty, TEST_NOW_S), ERR_NO_BUNDLE);
}

static void C14_refuse_what_is_expired_and_what_is_reserved(_unused_ void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", TEST_NOW_S);
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	struct test_cert_spec spec = test_leaf_spec("spiffe://td.test/a");
	struct test_cert_spec reserved = test_leaf_spec("spiffe://td.test/handfast/control");
	spec.for_key = reserved.for_key = key;
	assert_int_equal(judge(mesh, &spec, key, test_mesh_bundles(mesh), TEST_NOW_S + 7200), ERR_EXPIRED);
	assert_int_equal(judge(mesh, &reserved, key, test_mesh_bundles(mesh), TEST_NOW_S), ERR_WRONG_PEER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hold_svid_key_bundles_and_epoch),
		cmocka_unit_test(have_a_generation_that_grows),
		cmocka_unit_test(are_valid_from_first_to_last_second),
		cmocka_unit_test(end_with_their_root),
		cmocka_unit_test(C14_refuse_a_leaf_for_another_key),
		cmocka_unit_test(C14_refuse_what_does_not_verify_against_their_own_bundles),
		cmocka_unit_test(C14_refuse_what_is_expired_and_what_is_reserved),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
