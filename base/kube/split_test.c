#include "base/core/mem.h"
#include "base/kube/split.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

enum { WINDOW = 1000 };

typedef enum err next_fn(struct split *split, struct span *out);

/* Feeds the text in pieces of that size; returns the objects joined by '|'. */
static enum err split_all(next_fn *next, const char *text, size_t piece, struct split *split, struct buf *out)
{
	struct span rest = span_of_str(text), object;
	split_init(split, WINDOW);
	buf_clear(out);
	while (rest.len > 0) {
		size_t len = rest.len < piece ? rest.len : piece;
		assert_int_equal(split_feed(split, span_of(rest.ptr, len)), ERR_NONE);
		rest = span_from(rest, len);
		enum err err;
		while ((err = next(split, &object)) == ERR_NONE) {
			assert_int_equal(buf_append(out, object), ERR_NONE);
			assert_int_equal(buf_append_str(out, "|"), ERR_NONE);
		}
		if (err != ERR_NOT_FOUND)
			return err;
	}
	return ERR_NONE;
}

static void splits(next_fn *next, const char *text, const char *expected)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(4096);
	for (size_t piece = 1; piece <= strlen(text) + 1; piece++) {
		_cleanup_(split_done) struct split split = {0};
		assert_int_equal(split_all(next, text, piece, &split, &out), ERR_NONE);
		assert_string_equal(buf_cstr(&out), expected);
		assert_int_equal(split_take_credit(&split), strlen(text)); /* all, once */
	}
}

static void splits_lines_in_pieces_of_any_size(void **state)
{
	(void)state;
	splits(split_next_line, "{\"a\":1}\n{\"b\":2}\n", "{\"a\":1}|{\"b\":2}|");
	splits(split_next_line, "\n\n{}\n\n", "{}|");
	splits(split_next_line, "one\nhalf", "one|");
}

static void splits_a_list_into_its_items(void **state)
{
	(void)state;
	splits(split_next_item, "{\"kind\":\"PodList\",\"metadata\":{},\"items\":[{\"a\":[{}]} , {\"b\":\"]}\\\"\"}]}",
		"{\"a\":[{}]}|{\"b\":\"]}\\\"\"}|");
	splits(split_next_item, "{\"items\":[]}", "");
	splits(split_next_item, "{\"x\":{\"items\":[{\"no\":1}]},\"items\" : [{}],\"y\":[{\"items\":[1]}]}", "{}|");
	splits(split_next_item, "{\"x\":\"items\",\"y\":[{\"no\":1}]}", "");
	splits(split_next_item, "{\"items\":null}", "");
}

static void keeps_what_is_around_the_items(void **state)
{
	(void)state;
	_cleanup_(split_done) struct split split = {0};
	_cleanup_(buf_done) struct buf out = BUF_INIT(4096);
	struct span list;
	const char *text = "{\"metadata\":{\"continue\":\"x\"},\"items\":[{\"a\":1},{\"b\":2}],\"kind\":\"L\"}\n";
	assert_int_equal(split_all(split_next_item, text, 5, &split, &out), ERR_NONE);
	assert_int_equal(split_list(&split, &list), ERR_NONE);
	assert_true(span_eq(list, SPAN_LITERAL("{\"metadata\":{\"continue\":\"x\"},\"items\":[],\"kind\":\"L\"}\n")));
}

static void knows_a_list_that_has_not_ended(void **state)
{
	(void)state;
	static const char *const cut[] = {"", "{\"items\":[", "{\"items\":[{", "{\"items\":[]", "{\"a\":\"}"};
	for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
		_cleanup_(split_done) struct split split = {0};
		_cleanup_(buf_done) struct buf out = BUF_INIT(4096);
		struct span list;
		assert_int_equal(split_all(split_next_item, cut[i], 3, &split, &out), ERR_NONE);
		assert_int_equal(split_list(&split, &list), ERR_TRUNCATED);
	}
}

static void refuses_items_that_are_no_objects(void **state)
{
	(void)state;
	static const char *const broken[] = {"{\"items\":[1]}", "{\"items\":[\"a\"]}", "{\"items\":[{}}"};
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		_cleanup_(split_done) struct split split = {0};
		_cleanup_(buf_done) struct buf out = BUF_INIT(4096);
		assert_int_equal(split_all(split_next_item, broken[i], 3, &split, &out), ERR_MALFORMED);
	}
}

static void credits_whole_objects_only_when_they_are_taken(void **state)
{
	(void)state;
	_cleanup_(split_done) struct split split = {0};
	struct span line;
	split_init(&split, WINDOW);
	assert_int_equal(split_feed(&split, SPAN_LITERAL("1234\n5678\nab")), ERR_NONE);
	assert_int_equal(split_take_credit(&split), 0);
	assert_int_equal(split_next_line(&split, &line), ERR_NONE);
	assert_int_equal(split_take_credit(&split), 0); /* it is in use */
	assert_int_equal(split_next_line(&split, &line), ERR_NONE);
	assert_int_equal(split_take_credit(&split), 5);
	assert_int_equal(split_next_line(&split, &line), ERR_NOT_FOUND);
	assert_int_equal(split_take_credit(&split), 7); /* the rest of the third must come */
	assert_int_equal(split_feed(&split, SPAN_LITERAL("c\n")), ERR_NONE);
	assert_int_equal(split_next_line(&split, &line), ERR_NONE);
	assert_int_equal(split_next_line(&split, &line), ERR_NOT_FOUND);
	assert_int_equal(split_take_credit(&split), 2);
}

static void bounds_an_object_and_what_is_around(void **state)
{
	(void)state;
	_cleanup_(split_done) struct split lines = {0}, list = {0};
	char *filler = mem_alloc(SPLIT_OBJECT_MAX + 1);
	struct span object;
	memset(filler, 'x', SPLIT_OBJECT_MAX + 1);
	split_init(&lines, WINDOW);
	assert_int_equal(split_feed(&lines, span_of(filler, SPLIT_OBJECT_MAX)), ERR_NONE);
	assert_int_equal(split_next_line(&lines, &object), ERR_NOT_FOUND);
	assert_int_equal(split_feed(&lines, span_of(filler, 1)), ERR_NONE);
	assert_int_equal(split_next_line(&lines, &object), ERR_TOO_LARGE);
	split_init(&list, WINDOW);
	assert_int_equal(split_feed(&list, SPAN_LITERAL("{\"")), ERR_NONE);
	assert_int_equal(split_feed(&list, span_of(filler, SPLIT_AROUND_MAX)), ERR_NONE);
	assert_int_equal(split_next_item(&list, &object), ERR_TOO_LARGE);
	mem_free(filler);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits_lines_in_pieces_of_any_size),
		cmocka_unit_test(splits_a_list_into_its_items),
		cmocka_unit_test(keeps_what_is_around_the_items),
		cmocka_unit_test(knows_a_list_that_has_not_ended),
		cmocka_unit_test(refuses_items_that_are_no_objects),
		cmocka_unit_test(credits_whole_objects_only_when_they_are_taken),
		cmocka_unit_test(bounds_an_object_and_what_is_around),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
