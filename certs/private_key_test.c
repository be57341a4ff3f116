#include "certs/private_key.h"
#include "certs/test_ca.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

#define MESSAGE SPAN_LITERAL("message")

static void signs_messages_that_the_public_key_verifies(_unused_ void **state)
{
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(buf_done) struct buf spki = BUF_INIT(256), signature = BUF_INIT(128);
	assert_int_equal(private_key_public(key, &spki), ERR_NONE);
	assert_int_equal(private_key_sign(key, MESSAGE, &signature), ERR_NONE);
	assert_int_equal(public_key_verify(buf_span(&spki), MESSAGE, buf_span(&signature), NULL), ERR_NONE);
}

static void refuses_a_signature_of_another_key_or_over_other_bytes(_unused_ void **state)
{
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate(), *other = private_key_generate();
	_cleanup_(buf_done) struct buf spki = BUF_INIT(256), signature = BUF_INIT(128), forged = BUF_INIT(128);
	assert_int_equal(private_key_public(key, &spki), ERR_NONE);
	assert_int_equal(private_key_sign(key, MESSAGE, &signature), ERR_NONE);
	assert_int_equal(private_key_sign(other, MESSAGE, &forged), ERR_NONE);
	struct why why = {0};
	assert_int_equal(public_key_verify(buf_span(&spki), MESSAGE, buf_span(&forged), &why), ERR_CRYPTO);
	assert_int_equal(why.err, ERR_CRYPTO);
	assert_int_equal(
		public_key_verify(buf_span(&spki), SPAN_LITERAL("massage"), buf_span(&signature), NULL), ERR_CRYPTO);
	assert_int_equal(public_key_verify(buf_span(&spki), MESSAGE, span_of(NULL, 0), NULL), ERR_CRYPTO);
}

static void survives_encoding_and_parsing(_unused_ void **state)
{
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate(), *again = NULL;
	_cleanup_(buf_wipe) struct buf der = BUF_INIT(512);
	_cleanup_(buf_done) struct buf before = BUF_INIT(256), after = BUF_INIT(256);
	assert_int_equal(private_key_encode(key, &der), ERR_NONE);
	assert_int_equal(private_key_parse(buf_span(&der), &again, NULL), ERR_NONE);
	assert_int_equal(private_key_public(key, &before), ERR_NONE);
	assert_int_equal(private_key_public(again, &after), ERR_NONE);
	assert_true(span_eq(buf_span(&before), buf_span(&after)));
}

static void lives_until_its_last_reference_is_released(_unused_ void **state)
{
	struct private_key *key = private_key_generate();
	assert_ptr_equal(private_key_ref(key), key);
	private_key_unref(key);
	assert_non_null(private_key_get0_evp(key));
	private_key_unref(key);
	private_key_unref(NULL);
}

static void refuses_trailing_cut_and_malformed_bytes(_unused_ void **state)
{
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate(), *out = NULL;
	_cleanup_(buf_wipe) struct buf der = BUF_INIT(512);
	assert_int_equal(private_key_encode(key, &der), ERR_NONE);
	struct span whole = buf_span(&der);
	for (size_t len = 0; len < whole.len; len++)
		assert_int_equal(private_key_parse(span_of(whole.ptr, len), &out, NULL), ERR_MALFORMED);
	assert_int_equal(buf_append_str(&der, "x"), ERR_NONE);
	assert_int_equal(private_key_parse(buf_span(&der), &out, NULL), ERR_MALFORMED);
	uint8_t huge[4096] = {0x30};
	assert_int_equal(private_key_parse(span_of(huge, sizeof(huge)), &out, NULL), ERR_TOO_LARGE);
	assert_null(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signs_messages_that_the_public_key_verifies),
		cmocka_unit_test(refuses_a_signature_of_another_key_or_over_other_bytes),
		cmocka_unit_test(survives_encoding_and_parsing),
		cmocka_unit_test(lives_until_its_last_reference_is_released),
		cmocka_unit_test(refuses_trailing_cut_and_malformed_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
