#include "control/issue/passphrase.h"

#include "base/core/cleanup.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define GOOD SPAN_LITERAL("correct horse battery")

static void a_secret_comes_back_with_the_same_passphrase(void **state)
{
	_cleanup_(buf_done) struct buf sealed = BUF_INIT(4096);
	_cleanup_(buf_done) struct buf secret = BUF_INIT(4096);
	struct why why = {0};
	(void)state;
	assert_int_equal(passphrase_seal(PASSPHRASE_KEYS, GOOD, SPAN_LITERAL("the keys"), &sealed, &why), ERR_NONE);
	assert_null(memmem(buf_span(&sealed).ptr, buf_len(&sealed), "the keys", 8));
	assert_int_equal(passphrase_open(PASSPHRASE_KEYS, GOOD, buf_span(&sealed), &secret, &why), ERR_NONE);
	assert_true(span_eq(buf_span(&secret), SPAN_LITERAL("the keys")));
}

static void another_passphrase_or_a_changed_byte_is_refused(void **state)
{
	_cleanup_(buf_done) struct buf sealed = BUF_INIT(4096);
	_cleanup_(buf_done) struct buf secret = BUF_INIT(4096);
	struct why why = {0};
	(void)state;
	assert_int_equal(passphrase_seal(PASSPHRASE_KEYS, GOOD, SPAN_LITERAL("the keys"), &sealed, &why), ERR_NONE);
	assert_int_equal(
		passphrase_open(PASSPHRASE_KEYS, SPAN_LITERAL("another passphrase"), buf_span(&sealed), &secret, &why),
		ERR_DENIED);
	const size_t places[] = {17, buf_len(&sealed) - 1}; /* salt, tag */
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		sealed.ptr[places[i]] ^= 1;
		assert_int_equal(passphrase_open(PASSPHRASE_KEYS, GOOD, buf_span(&sealed), &secret, &why), ERR_DENIED);
		sealed.ptr[places[i]] ^= 1;
	}
	assert_int_equal(buf_len(&secret), 0);
}

static void what_is_no_such_file_is_refused(void **state)
{
	_cleanup_(buf_done) struct buf sealed = BUF_INIT(4096);
	struct why why = {0};
	(void)state;
	assert_int_equal(passphrase_open(PASSPHRASE_KEYS, GOOD, SPAN_LITERAL(""), &sealed, &why), ERR_MALFORMED);
	assert_int_equal(passphrase_open(PASSPHRASE_KEYS, GOOD, SPAN_LITERAL("handfast-keys-1\n"), &sealed, &why),
		ERR_MALFORMED);
	assert_int_equal(
		passphrase_open(PASSPHRASE_KEYS, GOOD,
			SPAN_LITERAL("-----BEGIN PRIVATE KEY-----\nAAAAAAAAAAAAAAAAAAAAAAAAAAA"), &sealed, &why),
		ERR_MALFORMED);
}

static void a_short_passphrase_is_refused(void **state)
{
	_cleanup_(buf_done) struct buf sealed = BUF_INIT(4096);
	struct why why = {0};
	(void)state;
	assert_int_equal(
		passphrase_seal(PASSPHRASE_KEYS, SPAN_LITERAL("12345678901"), SPAN_LITERAL("x"), &sealed, &why),
		ERR_CONFIG);
	assert_int_equal(buf_len(&sealed), 0);
}

static void a_backup_is_not_opened_as_keys(void **state)
{
	_cleanup_(buf_done) struct buf sealed = BUF_INIT(4096), secret = BUF_INIT(4096);
	struct why why = {0};
	(void)state;
	assert_int_equal(passphrase_seal(PASSPHRASE_BACKUP, GOOD, SPAN_LITERAL("the store"), &sealed, &why), ERR_NONE);
	assert_int_equal(passphrase_open(PASSPHRASE_KEYS, GOOD, buf_span(&sealed), &secret, &why), ERR_MALFORMED);
	memcpy(sealed.ptr, PASSPHRASE_KEYS, 16);
	assert_int_equal(passphrase_open(PASSPHRASE_KEYS, GOOD, buf_span(&sealed), &secret, &why), ERR_DENIED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backup_is_not_opened_as_keys),
		cmocka_unit_test(a_secret_comes_back_with_the_same_passphrase),
		cmocka_unit_test(another_passphrase_or_a_changed_byte_is_refused),
		cmocka_unit_test(what_is_no_such_file_is_refused),
		cmocka_unit_test(a_short_passphrase_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
