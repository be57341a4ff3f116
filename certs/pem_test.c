#include "certs/pem.h"
#include "certs/test_ca.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static void reads_what_it_wrote_block_by_block(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf text = BUF_INIT(4096);
	assert_int_equal(buf_append_str(&text, "a comment\n"), ERR_NONE);
	assert_int_equal(pem_encode("CERTIFICATE", SPAN_LITERAL("one"), &text), ERR_NONE);
	assert_int_equal(pem_encode("PRIVATE KEY", SPAN_LITERAL("two"), &text), ERR_NONE);
	struct span rest = buf_span(&text);
	_cleanup_(pem_block_done) struct pem_block block = {0};
	assert_int_equal(pem_next(&rest, &block), ERR_NONE);
	assert_string_equal(block.label, "CERTIFICATE");
	assert_true(span_eq(span_of(block.der, block.der_len), SPAN_LITERAL("one")));
	assert_int_equal(pem_next(&rest, &block), ERR_NONE);
	assert_string_equal(block.label, "PRIVATE KEY");
	assert_true(span_eq(span_of(block.der, block.der_len), SPAN_LITERAL("two")));
	assert_int_equal(pem_next(&rest, &block), ERR_NOT_FOUND);
	assert_int_equal(rest.len, 0);
}

static void knows_the_end_from_a_broken_block(void **state)
{
	(void)state;
	_cleanup_(pem_block_done) struct pem_block block = {0};
	struct span nothing = SPAN_LITERAL(""), words = SPAN_LITERAL("no block here\n");
	struct span broken = SPAN_LITERAL("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n");
	struct span cut = SPAN_LITERAL("-----BEGIN CERTIFICATE-----\nb25l\n");
	assert_int_equal(pem_next(&nothing, &block), ERR_NOT_FOUND);
	assert_int_equal(pem_next(&words, &block), ERR_NOT_FOUND);
	assert_int_equal(pem_next(&broken, &block), ERR_MALFORMED);
	assert_int_equal(pem_next(&cut, &block), ERR_MALFORMED);
}

static void reports_that_a_block_is_encrypted(void **state)
{
	(void)state;
	struct span text =
		SPAN_LITERAL("-----BEGIN X-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: A,0\n\nb25l\n-----END X-----\n");
	_cleanup_(pem_block_done) struct pem_block block = {0};
	assert_int_equal(pem_next(&text, &block), ERR_NONE);
	assert_true(block.is_encrypted);
}

static enum err take(void *arg, struct span der, struct why *why)
{
	unsigned *num = arg;
	if (der.len != 3)
		return why_set(why, ERR_UNTRUSTED, "three bytes", "give three", "there are %zu", der.len);
	++*num;
	return ERR_NONE;
}

static void a_list_is_the_blocks_of_one_kind(void **state)
{
	(void)state;
	const struct pem_list list = {"X", "thing", "things", "give things", take};
	_cleanup_(buf_done) struct buf text = BUF_INIT(1000);
	struct why why = {0};
	unsigned num = 0;
	assert_int_equal(pem_read_list(&list, buf_span(&text), &num, &why), ERR_MALFORMED);
	assert_string_equal(why.got, "there is no thing");
	assert_int_equal(pem_encode("X", SPAN_LITERAL("one"), &text), ERR_NONE);
	assert_int_equal(pem_encode("Y", SPAN_LITERAL("another"), &text), ERR_NONE);
	assert_int_equal(pem_encode("X", SPAN_LITERAL("two"), &text), ERR_NONE);
	assert_int_equal(pem_read_list(&list, buf_span(&text), &num, &why), ERR_NONE);
	assert_int_equal(num, 2);
	assert_int_equal(pem_encode("X", SPAN_LITERAL("three"), &text), ERR_NONE);
	assert_int_equal(pem_read_list(&list, buf_span(&text), &num, &why), ERR_UNTRUSTED);
	assert_int_equal(pem_read_list(&list, SPAN_LITERAL("-----BEGIN X-----\nb25l\n"), &num, &why), ERR_MALFORMED);
	assert_string_equal(why.got, "the things are not PEM");
}

static void appends_within_the_limit_only(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf small = BUF_INIT(20);
	assert_int_equal(pem_encode("CERTIFICATE", SPAN_LITERAL("one"), &small), ERR_LIMIT);
	assert_int_equal(buf_len(&small), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_it_wrote_block_by_block),
		cmocka_unit_test(knows_the_end_from_a_broken_block),
		cmocka_unit_test(reports_that_a_block_is_encrypted),
		cmocka_unit_test(a_list_is_the_blocks_of_one_kind),
		cmocka_unit_test(appends_within_the_limit_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
