#include "control/federate/partner_record.h"

#include "certs/test_ca.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* cmocka requires the first two */
#include <cmocka.h>

#define KEY PARTNER_RECORDS_PREFIX "p.test"

static struct test_cert *make_root(const char *uri)
{
	struct test_cert_spec spec = test_ca_spec("a root");
	if (uri != NULL)
		spec.names[0] = (struct test_name){TEST_NAME_URI, span_of_str(uri)};
	return test_cert_new(&spec, NULL);
}

static void add(struct jwks_bundle *bundle, const struct test_cert *root)
{
	assert_int_equal(jwks_bundle_add_root(bundle, test_cert_der(root)), ERR_NONE);
}

static void what_is_stored_is_read_again(void **state)
{
	(void)state;
	_cleanup_(test_cert_freep) struct test_cert *root = make_root(NULL), *former = make_root(NULL);
	_cleanup_(partner_record_done) struct partner_record record = {.changed_s = 7}, read = {0};
	_cleanup_(buf_done) struct buf value = BUF_INIT(STORE_VALUE_MAX);
	record.live.has_sequence = true;
	record.live.sequence = 41;
	record.live.refresh_hint_s = 300;
	add(&record.live, root);
	add(&record.retired, former);
	assert_int_equal(partner_record_encode(&record, &value), ERR_NONE);
	assert_int_equal(partner_record_parse(KEY, buf_span(&value), &read), ERR_NONE);
	assert_string_equal(read.domain.name, "p.test");
	assert_int_equal(read.live.sequence, 41);
	assert_int_equal(read.changed_s, 7);
	assert_true(partner_record_has_same_content(&read, &record.live));
	assert_true(span_eq(read.retired.roots[0], test_cert_der(former)));
}

static void a_damaged_record_is_refused(void **state)
{
	(void)state;
	static const char *const values[] = {"root=zz\n", "root=\n", "kid=a\n", "kid=a\njwt=00\n"};
	struct partner_record record = {0};
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
		assert_int_equal(partner_record_parse(KEY, span_of_str(values[i]), &record), ERR_MALFORMED);
	assert_int_equal(
		partner_record_parse(PARTNER_RECORDS_PREFIX "no domain", SPAN_LITERAL(""), &record), ERR_MALFORMED);
}

static void a_root_that_leaves_the_bundle_is_retired_and_may_come_back(void **state)
{
	(void)state;
	_cleanup_(test_cert_freep) struct test_cert *first = make_root(NULL), *second = make_root(NULL);
	_cleanup_(partner_record_done) struct partner_record record = {0};
	struct jwks_bundle fresh = {0};
	add(&record.live, first);
	add(&fresh, second);
	partner_record_update(&record, &fresh);
	assert_true(span_eq(record.live.roots[0], test_cert_der(second)));
	assert_int_equal(record.retired.num_roots, 1);
	add(&fresh, first);
	add(&fresh, second);
	partner_record_update(&record, &fresh);
	assert_int_equal(record.live.num_roots, 2);
	assert_int_equal(record.retired.num_roots, 0);
}

static void the_oldest_retired_roots_are_forgotten(void **state)
{
	(void)state;
	_cleanup_(partner_record_done) struct partner_record record = {0};
	for (unsigned i = 0; i < PARTNER_RETIRED_MAX + 4; i++) {
		_cleanup_(test_cert_freep) struct test_cert *root = make_root(NULL);
		struct jwks_bundle fresh = {0};
		add(&fresh, root);
		partner_record_update(&record, &fresh);
	}
	assert_int_equal(record.retired.num_roots, PARTNER_RETIRED_MAX);
}

/* W28: a root of ours, or of another partner, in this partner's bundle. */
static void W28_a_root_of_another_trust_domain_is_no_root_of_this_one(void **state)
{
	(void)state;
	_cleanup_(test_cert_freep) struct test_cert *own = make_root("spiffe://p.test"),
						    *foreign = make_root("spiffe://own.test");
	_cleanup_(partner_record_done) struct partner_record record = {0};
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	struct bundle *refused = NULL;
	struct why why = {0};
	snprintf(record.domain.name, sizeof record.domain.name, "p.test");
	add(&record.live, own);
	assert_int_equal(partner_record_bundle(&record, &bundle, &why), ERR_NONE);
	add(&record.live, foreign);
	assert_int_not_equal(partner_record_bundle(&record, &refused, &why), ERR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_stored_is_read_again),
		cmocka_unit_test(a_damaged_record_is_refused),
		cmocka_unit_test(a_root_that_leaves_the_bundle_is_retired_and_may_come_back),
		cmocka_unit_test(the_oldest_retired_roots_are_forgotten),
		cmocka_unit_test(W28_a_root_of_another_trust_domain_is_no_root_of_this_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
