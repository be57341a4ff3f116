#include "cli/cluster/test_objects.h"
#include <stdlib.h>

json_t *test_object(const char *text)
{
	char *copy = strdup(text);
	assert_non_null(copy);
	for (char *at = copy; *at != '\0'; at++)
		if (*at == '\'')
			*at = '"';
	json_t *object = json_loads(copy, 0, NULL);
	free(copy);
	assert_non_null(object);
	return object;
}

const json_t *test_row(const struct findings *findings, const char *check, unsigned i)
{
	for (size_t at = 0; at < json_array_size(findings->rows); at++) {
		const json_t *row = json_array_get(findings->rows, at);
		if (strcmp(json_string_value(json_object_get(row, "check")), check) == 0 && i-- == 0)
			return row;
	}
	return NULL;
}

void test_is_wrong(const struct findings *findings, const char *check, const char *part)
{
	static const char *const clauses[] = {"got", "expected", "fix"};
	const json_t *row = test_row(findings, check, 0);
	assert_non_null(row);
	assert_true(json_is_false(json_object_get(row, "well")));
	for (size_t i = 0; i < sizeof(clauses) / sizeof(clauses[0]); i++)
		assert_true(json_string_length(json_object_get(row, clauses[i])) > 0);
	if (strstr(json_string_value(json_object_get(row, "got")), part) == NULL)
		assert_string_equal(json_string_value(json_object_get(row, "got")), part);
}

void test_is_well(const struct findings *findings, const char *check)
{
	const json_t *row = test_row(findings, check, 0);
	assert_non_null(row);
	if (!json_is_true(json_object_get(row, "well")))
		assert_string_equal(json_string_value(json_object_get(row, "got")), "");
}
