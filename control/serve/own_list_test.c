#include "control/serve/own_list.h"

#include "base/core/cleanup.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void make(struct own_list *list, size_t der_len)
{
	static const uint8_t zeros[OWN_LIST_DER_MAX];
	*list = (struct own_list){.serial = {0x40, 1, 2},
		.serial_len = 3,
		.authority_ends_s = 1900000000,
		.number = 1ULL << 61,
		.made_s = 1800000000,
		.ends_s = 1800007200,
		.der = BUF_INIT(OWN_LIST_DER_MAX)};
	memset(list->authority, 7, DIGEST_LEN);
	memset(list->content, 9, DIGEST_LEN);
	assert_int_equal(buf_append(&list->der, span_of(zeros, der_len)), ERR_NONE);
}

static void the_largest_list_is_read_as_it_was_written(void **state)
{
	_cleanup_(own_list_done) struct own_list list, read = {0};
	_cleanup_(buf_done) struct buf record = BUF_INIT(OWN_LIST_RECORD_MAX);
	char key[OWN_LIST_KEY_MAX];
	(void)state;
	make(&list, OWN_LIST_DER_MAX);
	assert_int_equal(own_list_encode(&list, &record), ERR_NONE);
	assert_true(buf_len(&record) <= STORE_VALUE_MAX);
	assert_int_equal(own_list_parse(buf_span(&record), &read), ERR_NONE);
	assert_memory_equal(read.authority, list.authority, DIGEST_LEN);
	assert_memory_equal(read.content, list.content, DIGEST_LEN);
	assert_int_equal(read.serial_len, 3);
	assert_memory_equal(read.serial, list.serial, 3);
	assert_true(read.authority_ends_s == list.authority_ends_s);
	assert_true(read.number == list.number && read.made_s == list.made_s && read.ends_s == list.ends_s);
	assert_true(span_eq(buf_span(&read.der), buf_span(&list.der)));
	own_list_key(list.authority, key);
	assert_int_equal(strlen(key), strlen(OWN_LIST_PREFIX) + 2 * DIGEST_LEN);
}

static void records_with_less_are_refused(void **state)
{
	_cleanup_(own_list_done) struct own_list list, read = {0};
	_cleanup_(buf_done) struct buf record = BUF_INIT(OWN_LIST_RECORD_MAX);
	(void)state;
	make(&list, 100);
	assert_int_equal(own_list_encode(&list, &record), ERR_NONE);
	static const char *const names[] = {"authority", "serial", "number", "content", "der"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char *at = memmem(buf_span(&record).ptr, buf_len(&record), names[i], strlen(names[i]));
		assert_non_null(at);
		at[0] ^= 1;
		assert_int_equal(own_list_parse(buf_span(&record), &read), ERR_MALFORMED);
		at[0] ^= 1;
	}
	assert_int_equal(own_list_parse((struct span){0}, &read), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_largest_list_is_read_as_it_was_written),
		cmocka_unit_test(records_with_less_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
