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

static void json_is_read_as_json(_unused_ void **state)
{
	is_read_as(" {\"a\": \"\\ud83d\\ude00\"}\n", "[{'a': '\xf0\x9f\x98\x80'}]");
	is_read_as("---\n{\"a\": \"\\ud83d\\ude00\"}\n---\n{\"b\": 1}\n{\"c\": 2}",
		"[{'a': '\xf0\x9f\x98\x80'}, {'b': 1}, {'c': 2}]");
	is_read_as("{a: yes, b: [x]}", "[{'a': true, 'b': ['x']}]"); /* no JSON, but YAML */
	is_read_as("{\"a\": 1}\n---\nb: 2\n", "[{'a': 1}, {'b': 2}]");
}

static void tags_are_followed(_unused_ void **state)
{
	is_read_as("\xc3\xa4: x\na: !!str 123\nb: [!!str yes, ! 1, 123, !!int '7', !!int 8, !!bool yes, !!null '', "
		   "!!float 1]\n"
		   "c: &x !!str 5\nd: *x\ne: !!map {a: !!seq [1]}\n---\na: !!str 1\nb: 1\n",
		"[{'\xc3\xa4': 'x', 'a': '123', 'b': ['yes', '1', 123, 7, 8, true, null, 1.0], 'c': '5', 'd': '5',"
		" 'e': {'a': [1]}}, {'a': '1', 'b': 1}]");
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

static void a_tag_that_is_not_followed_is_refused(_unused_ void **state)
{
	is_refused("a: 1\nb: !!int x\n", ERR_UNSUPPORTED, "x.yaml, line 2");
	is_refused("b: !!bool 1\n", ERR_UNSUPPORTED, "x.yaml, line 1");
	is_refused("b: !!binary aGk=\n", ERR_UNSUPPORTED, "x.yaml, line 1");
	is_refused("b: !own {a: 1}\n", ERR_UNSUPPORTED, "x.yaml, line 1");
	is_refused("b: !!set [a]\n", ERR_UNSUPPORTED, "x.yaml, line 1");
	is_refused("!!int 1: a\n", ERR_UNSUPPORTED, "x.yaml, line 1");
}

static void a_document_that_is_no_object_is_refused(_unused_ void **state)
{
	is_refused("just text\n", ERR_MALFORMED, "x.yaml, line 1: this document is not an object");
	is_refused("a: 1\n---\n- b\n", ERR_MALFORMED, "x.yaml, line 3: this document is not an object");
	is_refused("{\"a\": 1}\n\n[1]", ERR_MALFORMED, "x.yaml, line 3: this document is not an object");
	is_refused("7", ERR_MALFORMED, "not an object");
}

static void json_has_the_same_limits(_unused_ void **state)
{
	char deep[700] = "{\"a\":";
	size_t len = strlen(deep);
	memset(deep + len, '[', 150);
	memset(deep + len + 150, ']', 150);
	deep[len + 300] = '}';
	is_refused(deep, ERR_TOO_LARGE, "x.yaml, line 1");
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
		cmocka_unit_test(json_is_read_as_json),
		cmocka_unit_test(tags_are_followed),
		cmocka_unit_test(a_tag_that_is_not_followed_is_refused),
		cmocka_unit_test(a_document_that_is_no_object_is_refused),
		cmocka_unit_test(json_has_the_same_limits),
		cmocka_unit_test(what_is_no_yaml_is_refused_with_its_line),
		cmocka_unit_test(aliases_that_multiply_are_refused),
		cmocka_unit_test(what_is_written_reads_the_same),
		cmocka_unit_test(numbers_are_written_with_the_digits_that_they_need),
		cmocka_unit_test(a_buffer_that_is_full_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
