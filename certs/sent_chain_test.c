#include "certs/sent_chain.h"
#include "certs/test_ca.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

static X509 *make(void)
{
	struct test_cert_spec spec = test_ca_spec("one");
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&spec, NULL);
	const uint8_t *at = test_cert_der(cert).ptr;
	X509 *parsed = d2i_X509(NULL, &at, (long)test_cert_der(cert).len);
	assert_non_null(parsed);
	return parsed;
}

static void the_first_is_the_leaf(void **state)
{
	(void)state;
	_cleanup_(sent_chain_done) struct sent_chain sent;
	X509 *certs[] = {make(), make(), make()};
	sent_chain_init(&sent);
	assert_null(sent.leaf);
	for (size_t i = 0; i < 3; i++)
		sent_chain_add(&sent, certs[i]);
	assert_ptr_equal(sent.leaf, certs[0]);
	assert_int_equal(sk_X509_num(sent.others), 2);
	assert_ptr_equal(sk_X509_value(sent.others, 0), certs[1]);
	assert_ptr_equal(sk_X509_value(sent.others, 1), certs[2]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_is_the_leaf),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
