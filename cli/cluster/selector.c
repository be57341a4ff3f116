#include "cli/cluster/selector.h"
#include <string.h>

static bool is_among(const char *value, const json_t *values)
{
	for (size_t i = 0; i < json_array_size(values); i++) {
		const char *one = json_string_value(json_array_get(values, i));
		if (value != NULL && one != NULL && strcmp(one, value) == 0)
			return true;
	}
	return false;
}

static bool expression_matches(const json_t *expression, const json_t *labels)
{
	const char *key = json_string_value(json_object_get(expression, "key"));
	const char *operator_ = json_string_value(json_object_get(expression, "operator"));
	const char *value = key != NULL ? json_string_value(json_object_get(labels, key)) : NULL;
	const json_t *values = json_object_get(expression, "values");
	if (operator_ == NULL)
		return true;
	if (strcmp(operator_, "In") == 0)
		return is_among(value, values);
	if (strcmp(operator_, "NotIn") == 0)
		return !is_among(value, values);
	if (strcmp(operator_, "Exists") == 0)
		return value != NULL;
	if (strcmp(operator_, "DoesNotExist") == 0)
		return value == NULL;
	return true;
}

bool selector_matches(const json_t *selector, const json_t *labels)
{
	json_t *wanted = json_object_get(selector, "matchLabels");
	for (void *at = json_object_iter(wanted); at != NULL; at = json_object_iter_next(wanted, at)) {
		const char *is = json_string_value(json_object_get(labels, json_object_iter_key(at)));
		const char *want = json_string_value(json_object_iter_value(at));
		if (is == NULL || want == NULL || strcmp(is, want) != 0)
			return false;
	}
	const json_t *expressions = json_object_get(selector, "matchExpressions");
	for (size_t i = 0; i < json_array_size(expressions); i++)
		if (!expression_matches(json_array_get(expressions, i), labels))
			return false;
	return true;
}
