#include "control/issue/revocation_list.h"

#include "base/core/cleanup.h"
#include "certs/bundle.h"
#include "certs/test_ca.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

struct issuer {
	struct test_cert *cert;
	struct private_key *key;
	struct buf entries, der;
	struct why detail;
};

static void set_up(struct issuer *issuer, int key_usage)
{
	struct test_cert_spec spec = test_ca_spec("an intermediate");
	spec.key_usage = key_usage;
	*issuer = (struct issuer){.entries = BUF_INIT(65536), .der = BUF_INIT(REVOCATION_LIST_MAX)};
	issuer->cert = test_cert_new(&spec, NULL);
	issuer->key = test_cert_key(issuer->cert);
}

static void tear_down(struct issuer *issuer)
{
	buf_done(&issuer->entries);
	buf_done(&issuer->der);
	private_key_unref(issuer->key);
	test_cert_free(issuer->cert);
}

static enum err make(struct issuer *issuer)
{
	const struct revocation_list_spec spec = {.issuer = test_cert_der(issuer->cert),
		.issuer_key = issuer->key,
		.this_update_s = TEST_NOW_S - 60,
		.next_update_s = TEST_NOW_S + 3600,
		.number = 7,
		.entries = buf_span(&issuer->entries)};
	buf_clear(&issuer->der);
	enum err err = revocation_list_make(&spec, &issuer->der, &issuer->detail);
	assert_int_equal(err, issuer->detail.err);
	return err;
}

/* The code of the sidecars judges form, key identifier, number and signature. */
static void assert_is_usable(const struct issuer *issuer)
{
	struct trust_domain domain;
	struct span root = test_cert_der(issuer->cert);
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	_cleanup_(bundle_set_unrefp) struct bundle_set *set = bundle_set_new();
	struct revocation_lists lists;
	assert_int_equal(trust_domain_parse(SPAN_LITERAL("td"), &domain, NULL), ERR_NONE);
	assert_int_equal(bundle_new(&domain, &root, 1, &bundle, NULL), ERR_NONE);
	assert_int_equal(bundle_set_add(set, bundle, NULL), ERR_NONE);
	assert_int_equal(bundle_set_add_crl(set, &domain, buf_span(&issuer->der), NULL), ERR_NONE);
	bundle_set_lists(set, TEST_NOW_S, &lists);
	assert_int_equal(lists.num, 1);
	assert_int_equal(lists.ends_s, TEST_NOW_S + 3600);
}

static void a_list_that_names_nothing_is_one_that_sidecars_use(void **state)
{
	_cleanup_(tear_down) struct issuer issuer;
	(void)state;
	set_up(&issuer, TEST_KU_KEY_CERT_SIGN | TEST_KU_CRL_SIGN);
	assert_int_equal(make(&issuer), ERR_NONE);
	assert_is_usable(&issuer);
}

static void as_many_serials_as_there_may_be_fit(void **state)
{
	_cleanup_(tear_down) struct issuer issuer;
	uint8_t serial[20] = {0x40};
	(void)state;
	set_up(&issuer, TEST_KU_KEY_CERT_SIGN | TEST_KU_CRL_SIGN);
	for (unsigned i = 0; i <= REVOCATION_LIST_ENTRIES_MAX; i++) {
		if (i == REVOCATION_LIST_ENTRIES_MAX) {
			assert_int_equal(make(&issuer), ERR_NONE);
			assert_is_usable(&issuer);
		}
		serial[18] = (uint8_t)(i >> 8);
		serial[19] = (uint8_t)i;
		assert_int_equal(
			revocation_list_put_entry(&issuer.entries, span_of(serial, sizeof serial), TEST_NOW_S - 600),
			ERR_NONE);
	}
	assert_int_equal(make(&issuer), ERR_LIMIT);
	assert_int_equal(buf_len(&issuer.der), 0);
}

static void malformed_entries_are_refused(void **state)
{
	static const uint8_t long_serial[21] = {1}, bad[][3] = {{0, 1, 1}, {21, 1, 1}, {2, 1, 1}};
	_cleanup_(tear_down) struct issuer issuer;
	(void)state;
	set_up(&issuer, TEST_KU_KEY_CERT_SIGN | TEST_KU_CRL_SIGN);
	assert_int_equal(revocation_list_put_entry(&issuer.entries, (struct span){0}, 0), ERR_MALFORMED);
	assert_int_equal(
		revocation_list_put_entry(&issuer.entries, span_of(long_serial, sizeof long_serial), 0), ERR_MALFORMED);
	for (size_t i = 0; i < 3; i++) {
		buf_clear(&issuer.entries);
		assert_int_equal(buf_append(&issuer.entries, span_of(bad[i], 3)), ERR_NONE);
		assert_int_equal(make(&issuer), ERR_MALFORMED);
	}
}

/* RFC 5280 6.3.3 (f). */
static void an_authority_that_may_sign_no_lists_signs_none(void **state)
{
	_cleanup_(tear_down) struct issuer issuer;
	(void)state;
	set_up(&issuer, TEST_KU_KEY_CERT_SIGN);
	assert_int_equal(make(&issuer), ERR_UNSUPPORTED);
	assert_non_null(strstr(issuer.detail.fix, "cRLSign"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_that_names_nothing_is_one_that_sidecars_use),
		cmocka_unit_test(as_many_serials_as_there_may_be_fit),
		cmocka_unit_test(malformed_entries_are_refused),
		cmocka_unit_test(an_authority_that_may_sign_no_lists_signs_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
