#include "cli/cluster/documents.h"
#include "cli/cluster/test_objects.h"
#include <stdlib.h>

static json_t *read_text(const char *text)
{
	json_t *documents = NULL;
	struct why why;
	assert_int_equal(documents_read(span_of_str(text), "x.yaml", &documents, &why), ERR_NONE);
	return documents;
}

static void is_read_as(const char *yaml, const char *json)
{
	json_t *documents = read_text(yaml), *expected = test_object(json);
	char *text = json_dumps(documents, JSON_COMPACT);
	if (!json_equal(documents, expected))
		assert_string_equal(text, json);
	free(text);
	json_decref(documents);
	json_decref(expected);
}

static void documents_are_read_and_empty_ones_left_out(_unused_ void **state)
{
	is_read_as("# a comment\n---\na: 1\n---\n---\nb: [x, {c: d}]\n", "[{'a': 1}, {'b': ['x', {'c': 'd'}]}]");
	is_read_as("{\"a\": {\"b\": [1, true, null, \"1\"]}}", "[{'a': {'b': [1, true, null, '1']}}]");
	is_read_as("", "[]");
	json_t *documents = NULL;
	struct why why;
	assert_int_equal(documents_read(span_of(NULL, 0), "standard input", &documents, &why), ERR_NONE);
	assert_int_equal(json_array_size(documents), 0);
	json_decref(documents);
}

static void scalars_are_what_kubernetes_tools_read(_unused_ void **state)
{
	is_read_as("a: [yes, Off, ~, 0644, 0x1F, 0o17, -5, 1.5, 1e3]",
		"[{'a': [true, false, null, 420, 31, 15, -5, 1.5, 1000.0]}]");
	is_read_as("a: ['yes', \"1\", 1.2.3, 08, 192.0.2.1, 99999999999999999999x, e, -]",
		"[{'a': ['yes', '1', '1.2.3', 8.0, '192.0.2.1', '99999999999999999999x', 'e', '-']}]");
}

static void an_alias_is_what_it_repeats(_unused_ void **state)
{
	is_read_as("a: &x [1]\nb: *x\n", "[{'a': [1], 'b': [1]}]");
}

static void is_refused(const char *text, enum err expected, const char *part)
{
	json_t *documents = NULL;
	struct why why = {0};
	assert_int_equal(documents_read(span_of_str(text), "x.yaml", &documents, &why), expected);
	assert_null(documents);
	assert_non_null(strstr(why.got, part));
}

static void what_is_no_yaml_is_refused_with_its_line(_unused_ void **state)
{
	is_refused("a: 1\nb: [", ERR_MALFORMED, "x.yaml, line ");
	is_refused("a: 1\n<<: {b: 1}\n", ERR_UNSUPPORTED, "x.yaml, line 2");
	is_refused("[1]: 2\n", ERR_UNSUPPORTED, "x.yaml, line 1");
}

static void aliases_that_multiply_are_refused(_unused_ void **state)
{
	is_refused("a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
		   "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
		   "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n",
		ERR_TOO_LARGE, "x.yaml");
	is_refused("a: &a [*a]\n", ERR_TOO_LARGE, "x.yaml");
}

static void what_is_written_reads_the_same(_unused_ void **state)
{
	json_t *before =
		test_object("[{'a': ['yes', '1', '0644', '', ' x', 'y', '~', 'a\\nb\\n', 'x: y', '#', '- a'], 'on': {},"
			    " 'b': [], 'c': [1, -2, 1.5, true, false, null, [[{'d': 'e'}]]]}, {'kind': 'Pod'}]");
	_cleanup_(buf_done) struct buf text = BUF_INIT(65536);
	for (size_t i = 0; i < json_array_size(before); i++)
		assert_int_equal(document_write(json_array_get(before, i), &text), ERR_NONE);
	json_t *after = read_text(buf_cstr(&text));
	if (!json_equal(before, after))
		assert_string_equal(buf_cstr(&text), "");
	json_decref(before);
	json_decref(after);
}

static void numbers_are_written_with_the_digits_that_they_need(_unused_ void **state)
{
	json_t *document = test_object("{'cpu': 0.1, 'sum': 0.30000000000000004, 'large': 1e300}");
	_cleanup_(buf_done) struct buf text = BUF_INIT(4096);
	assert_int_equal(document_write(document, &text), ERR_NONE);
	assert_non_null(strstr(buf_cstr(&text), "cpu: 0.1\n"));
	assert_non_null(strstr(buf_cstr(&text), "sum: 0.30000000000000004\n"));
	assert_non_null(strstr(buf_cstr(&text), "large: 1e+300\n"));
	json_decref(document);
}

static void a_buffer_that_is_full_is_an_error(_unused_ void **state)
{
	json_t *document = test_object("{'a': 'a text of some length'}");
	_cleanup_(buf_done) struct buf text = BUF_INIT(8);
	assert_int_equal(document_write(document, &text), ERR_LIMIT);
	json_decref(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_are_read_and_empty_ones_left_out),
		cmocka_unit_test(scalars_are_what_kubernetes_tools_read),
		cmocka_unit_test(an_alias_is_what_it_repeats),
		cmocka_unit_test(what_is_no_yaml_is_refused_with_its_line),
		cmocka_unit_test(aliases_that_multiply_are_refused),
		cmocka_unit_test(what_is_written_reads_the_same),
		cmocka_unit_test(numbers_are_written_with_the_digits_that_they_need),
		cmocka_unit_test(a_buffer_that_is_full_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
