/* What a change of roots, bans and lists means to connections that are open. */
#include "certs/test_revoker.h"
#include "certs/verify.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

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
	assert_int_equal(revoker_publish(&revoker, revoker.intermediate, &spec), ERR_NONE);
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

static struct span serial_of(const struct test_cert *cert, struct svid **out)
{
	struct span der = test_cert_der(cert);
	assert_int_equal(svid_parse(&der, 1, out, NULL), ERR_NONE);
	return svid_serial(*out);
}

static void finding_t7_a_revoked_serial_is_refused_at_once_and_later(_unused_ void **state)
{
	REVOKER(revoker);
	REVOKER(other);
	_cleanup_(svid_unrefp) struct svid *leaf = NULL;
	struct span serial = serial_of(revoker.leaf, &leaf);
	assert_int_equal(bundle_set_revoke(revoker.bundles, (struct span){0}), ERR_MALFORMED);
	assert_int_equal(revoker_judge(&revoker), ERR_NONE);
	assert_int_equal(bundle_set_revoke(revoker.bundles, SPAN_LITERAL("\x01")), ERR_NONE);
	assert_int_equal(bundle_set_revoke(revoker.bundles, SPAN_LITERAL("\xff\xff")), ERR_NONE);
	assert_int_equal(revoker_judge(&revoker), ERR_NONE);
	assert_int_equal(bundle_set_revoke(revoker.bundles, serial), ERR_NONE);
	assert_int_equal(bundle_set_revoke(revoker.bundles, serial), ERR_NONE);
	assert_true(bundle_set_is_revoked(revoker.bundles, serial));
	assert_true(bundle_set_is_revoked(revoker.bundles, SPAN_LITERAL("\x01")));
	assert_false(bundle_set_is_revoked(revoker.bundles, SPAN_LITERAL("\x02")));
	assert_int_equal(revoker_judge(&revoker), ERR_REVOKED);
	assert_int_equal(judge_standing(&revoker), ERR_REVOKED);
	assert_int_equal(revoker_judge(&other), ERR_NONE);
	assert_int_equal(bundle_set_revoke(other.bundles, test_cert_serial(other.intermediate)), ERR_NONE);
	assert_int_equal(revoker_judge(&other), ERR_REVOKED);
	assert_false(bundle_set_has_same_anchors(revoker.bundles, other.bundles));
}

/* A root that a rotation has replaced: open connections go on, nothing new is accepted. */
static void finding_i4_a_retired_root_keeps_open_connections_alone(_unused_ void **state)
{
	REVOKER(revoker);
	REVOKER(other);
	struct span ders[] = {test_cert_der(other.root), test_cert_der(revoker.root)};
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	assert_int_equal(bundle_new_with_retired(&revoker_domain, ders, 2, 1, &bundle, NULL), ERR_NONE);
	assert_int_equal(bundle_num_roots(bundle), 1);
	bundle_set_unref(revoker.bundles);
	revoker.bundles = bundle_set_new();
	assert_int_equal(bundle_set_add(revoker.bundles, bundle, NULL), ERR_NONE);
	assert_int_equal(judge_standing(&revoker), ERR_NONE);
	assert_int_equal(revoker_judge(&revoker), ERR_UNTRUSTED);
	bundle_set_unref(other.bundles);
	other.bundles = bundle_set_ref(revoker.bundles);
	assert_int_equal(revoker_judge(&other), ERR_NONE);
}

static void finding_t7_revalidation_fails_when_an_authority_is_revoked(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_crl_spec spec = test_crl_spec();
	spec.revoked[0] = revoker.intermediate;
	assert_int_equal(revoker_publish(&revoker, revoker.root, &spec), ERR_NONE);
	assert_int_equal(judge_standing(&revoker), ERR_REVOKED);
}

static void finding_t7_revalidation_ignores_expiry_and_missing_or_invalid_lists(_unused_ void **state)
{
	REVOKER(revoker);
	struct test_cert_spec leaf = test_leaf_spec("spiffe://td.test/a");
	leaf.not_after_s = TEST_NOW_S - 1;
	test_cert_free(revoker.leaf);
	revoker.leaf = test_cert_new(&leaf, revoker.intermediate);
	assert_int_equal(revoker_judge(&revoker), ERR_EXPIRED);
	assert_int_equal(judge_standing(&revoker), ERR_NONE);
	struct test_crl_spec forged = test_crl_spec();
	forged.revoked[0] = revoker.leaf;
	forged.has_wrong_signature = true;
	assert_int_equal(revoker_publish(&revoker, revoker.intermediate, &forged), ERR_NONE);
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
	revoker_publish_empty(&one, one.root);
	assert_false(bundle_set_has_same_anchors(one.bundles, same));
	bundle_set_unref(same);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding_t7_revalidation_fails_when_the_root_is_removed_or_the_leaf_revoked),
		cmocka_unit_test(finding_t7_a_revoked_serial_is_refused_at_once_and_later),
		cmocka_unit_test(finding_i4_a_retired_root_keeps_open_connections_alone),
		cmocka_unit_test(finding_t7_revalidation_fails_when_an_authority_is_revoked),
		cmocka_unit_test(finding_t7_revalidation_ignores_expiry_and_missing_or_invalid_lists),
		cmocka_unit_test(finding_t7_anchors_are_compared_without_bans),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
