/* caBundle: what is added, what goes, and what stays as it is. */
#include "base/core/base64.h"
#include "base/core/buf.h"
#include "base/core/mem.h"
#include "certs/pem.h"
#include "control/issue/certificate.h"
#include "control/kube/ca_bundle.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define NOW_S 1800000000

static struct buf authority(int64_t not_after_s)
{
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(buf_done) struct buf spki = BUF_INIT(1024);
	struct buf der = BUF_INIT(CERTIFICATE_MAX);
	struct why why = {0};
	assert_int_equal(private_key_public(key, &spki), ERR_NONE);
	assert_int_equal(certificate_make(&(struct certificate_spec){.kind = CERTIFICATE_BOOTSTRAP,
						  .name = "webhook",
						  .spki = buf_span(&spki),
						  .not_before_s = NOW_S - 3600,
						  .not_after_s = not_after_s,
						  .issuer_key = key},
				 &der, &why),
		ERR_NONE);
	return der;
}

/* The bundle of these authorities, after `text`. */
static struct buf bundle_of(const char *text, const struct buf *ders, size_t num)
{
	struct buf pem = BUF_INIT(CA_BUNDLE_TEXT_MAX), out = BUF_INIT(2u * CA_BUNDLE_TEXT_MAX);
	assert_int_equal(buf_append_str(&pem, text), ERR_NONE);
	for (size_t i = 0; i < num; i++)
		assert_int_equal(pem_encode("CERTIFICATE", buf_span(&ders[i]), &pem), ERR_NONE);
	assert_int_equal(base64_encode(buf_span(&pem), &out), ERR_NONE);
	buf_done(&pem);
	return out;
}

static bool repair(const struct buf *before, const struct buf *own, struct buf *out)
{
	struct span der = buf_span(own);
	*out = BUF_INIT(2u * CA_BUNDLE_TEXT_MAX);
	return ca_bundle_repair(before == NULL ? span_of(NULL, 0) : buf_span(before), &der, 1, NOW_S, out);
}

static void an_empty_bundle_gets_the_own_authority_and_is_right_then(void **state)
{
	(void)state;
	struct buf own = authority(NOW_S + 100), first, second;
	assert_true(repair(NULL, &own, &first));
	assert_true(ca_bundle_has(buf_span(&first), buf_span(&own)));
	assert_false(repair(&first, &own, &second));
	assert_int_equal(buf_len(&second), 0);
	buf_done(&own);
	buf_done(&first);
	buf_done(&second);
}

static void others_stay_until_long_after_their_end(void **state)
{
	(void)state;
	struct buf own = authority(NOW_S + 100);
	struct buf others[] = {authority(NOW_S - CA_BUNDLE_EXPIRED_S + 1), authority(NOW_S - CA_BUNDLE_EXPIRED_S)};
	struct buf before = bundle_of("", others, 2), after;
	assert_true(repair(&before, &own, &after));
	assert_true(ca_bundle_has(buf_span(&after), buf_span(&own)));
	assert_true(ca_bundle_has(buf_span(&after), buf_span(&others[0])));
	assert_false(ca_bundle_has(buf_span(&after), buf_span(&others[1])));
	struct buf *all[] = {&own, &others[0], &others[1], &before, &after};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		buf_done(all[i]);
}

/* Authorities of others live a day; this replica's clock is four weeks ahead. */
static void K24_a_replica_with_its_clock_ahead_removes_no_living_authority(void **state)
{
	(void)state;
	struct buf own = authority(NOW_S + 100), other = authority(NOW_S - 27 * 86400);
	struct buf before = bundle_of("", &other, 1), after, again;
	assert_true(repair(&before, &own, &after));
	assert_true(ca_bundle_has(buf_span(&after), buf_span(&other)));
	assert_false(repair(&after, &own, &again));
	struct buf *all[] = {&own, &other, &before, &after, &again};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		buf_done(all[i]);
}

static void garbage_is_replaced(void **state)
{
	(void)state;
	struct buf own = authority(NOW_S + 100);
	static const char *const rows[] = {"%%%", "Zm9v", "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFBQUEK"};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct span der = buf_span(&own);
		_cleanup_(buf_done) struct buf after = BUF_INIT(2u * CA_BUNDLE_TEXT_MAX);
		assert_true(ca_bundle_repair(span_of_str(rows[i]), &der, 1, NOW_S, &after));
		assert_true(ca_bundle_has(buf_span(&after), der));
	}
	buf_done(&own);
}

static void a_certificate_that_stands_twice_stands_once(void **state)
{
	(void)state;
	struct buf own = authority(NOW_S + 100);
	struct buf twice[] = {own, own};
	struct buf before = bundle_of("text before\n", twice, 2), after, again;
	assert_true(repair(&before, &own, &after));
	assert_true(buf_len(&after) < buf_len(&before));
	assert_false(repair(&after, &own, &again));
	buf_done(&own);
	buf_done(&before);
	buf_done(&after);
}

/* A replica that restarts in a loop must not fill the object: the authority that expires first goes. */
static void at_the_maximum_the_one_that_expires_first_goes(void **state)
{
	(void)state;
	struct buf own = authority(NOW_S + 1), others[CA_BUNDLE_AUTHORITIES_MAX];
	for (size_t i = 0; i < CA_BUNDLE_AUTHORITIES_MAX; i++)
		others[i] = authority(NOW_S + (i == 5 ? 10 : 1000));
	struct buf before = bundle_of("", others, CA_BUNDLE_AUTHORITIES_MAX), after;
	assert_true(repair(&before, &own, &after));
	assert_true(ca_bundle_has(buf_span(&after), buf_span(&own)));
	for (size_t i = 0; i < CA_BUNDLE_AUTHORITIES_MAX; i++) {
		assert_true(ca_bundle_has(buf_span(&after), buf_span(&others[i])) == (i != 5));
		buf_done(&others[i]);
	}
	buf_done(&own);
	buf_done(&before);
	buf_done(&after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_bundle_gets_the_own_authority_and_is_right_then),
		cmocka_unit_test(others_stay_until_long_after_their_end),
		cmocka_unit_test(K24_a_replica_with_its_clock_ahead_removes_no_living_authority),
		cmocka_unit_test(garbage_is_replaced),
		cmocka_unit_test(a_certificate_that_stands_twice_stands_once),
		cmocka_unit_test(at_the_maximum_the_one_that_expires_first_goes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
