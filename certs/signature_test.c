#include "certs/boringssl.h"
#include "certs/signature.h"
#include "certs/test_ca.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

static X509 *parse(const struct test_cert *cert)
{
	struct span der = test_cert_der(cert);
	const uint8_t *at = der.ptr;
	X509 *parsed = d2i_X509(NULL, &at, (long)der.len);
	assert_non_null(parsed);
	return parsed;
}

static X509_CRL *list_of(const struct test_cert *issuer)
{
	_cleanup_(buf_done) struct buf der = BUF_INIT(8192);
	struct test_crl_spec spec = test_crl_spec();
	test_crl_make(&spec, issuer, &der);
	const uint8_t *at = buf_span(&der).ptr;
	X509_CRL *parsed = d2i_X509_CRL(NULL, &at, (long)buf_len(&der));
	assert_non_null(parsed);
	return parsed;
}

static void computes_what_holds_once(_unused_ void **state)
{
	struct test_cert_spec spec = test_ca_spec("root");
	struct test_cert *root = test_cert_new(&spec, NULL);
	_cleanup_(X509_freep) X509 *cert = parse(root), *again = parse(root);
	_cleanup_(X509_CRL_freep) X509_CRL *list = list_of(root);
	unsigned before = signature_num_computed();
	assert_true(signature_of_cert_is_by(cert, cert));
	assert_true(signature_of_cert_is_by(again, again)); /* other objects, the same bytes */
	assert_true(signature_of_crl_is_by(list, cert));
	assert_true(signature_of_crl_is_by(list, again));
	assert_int_equal(signature_num_computed() - before, 2);
	test_cert_free(root);
}

static void what_is_remembered_vouches_for_nothing_else(_unused_ void **state)
{
	struct test_cert_spec spec = test_ca_spec("root");
	struct test_cert *root = test_cert_new(&spec, NULL),
			 *other = test_cert_new(&spec, NULL); /* one name, two keys */
	_cleanup_(X509_freep) X509 *cert = parse(root), *stranger = parse(other);
	_cleanup_(X509_CRL_freep) X509_CRL *list = list_of(root);
	assert_true(signature_of_cert_is_by(cert, cert));
	assert_true(signature_of_crl_is_by(list, cert));
	assert_false(signature_of_cert_is_by(cert, stranger));
	assert_false(signature_of_cert_is_by(stranger, cert));
	assert_false(signature_of_crl_is_by(list, stranger));
	test_cert_free(root);
	test_cert_free(other);
}

static void what_does_not_hold_is_computed_each_time(_unused_ void **state)
{
	struct test_cert_spec spec = test_ca_spec("root");
	spec.has_wrong_signature = true;
	struct test_cert *forged = test_cert_new(&spec, NULL);
	_cleanup_(X509_freep) X509 *cert = parse(forged);
	unsigned before = signature_num_computed();
	assert_false(signature_of_cert_is_by(cert, cert));
	assert_false(signature_of_cert_is_by(cert, cert));
	assert_int_equal(signature_num_computed() - before, 2);
	test_cert_free(forged);
}

static void forgets_the_oldest(_unused_ void **state)
{
	enum { MANY = 70 };
	struct test_cert *roots[MANY];
	struct test_cert_spec spec = test_ca_spec("root");
	unsigned before = signature_num_computed();
	for (size_t i = 0; i < MANY; i++) {
		roots[i] = test_cert_new(&spec, NULL);
		_cleanup_(X509_freep) X509 *cert = parse(roots[i]);
		assert_true(signature_of_cert_is_by(cert, cert));
	}
	_cleanup_(X509_freep) X509 *first = parse(roots[0]), *last = parse(roots[MANY - 1]);
	assert_true(signature_of_cert_is_by(last, last));
	assert_int_equal(signature_num_computed() - before, MANY);
	assert_true(signature_of_cert_is_by(first, first));
	assert_int_equal(signature_num_computed() - before, MANY + 1);
	for (size_t i = 0; i < MANY; i++)
		test_cert_free(roots[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(computes_what_holds_once),
		cmocka_unit_test(what_is_remembered_vouches_for_nothing_else),
		cmocka_unit_test(what_does_not_hold_is_computed_each_time),
		cmocka_unit_test(forgets_the_oldest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
