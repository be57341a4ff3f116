#include "cli/show.h"
#include "base/core/date.h"
#include "base/core/escape.h"
#include "base/core/hex.h"
#include <stdio.h>
#include <stdlib.h>

void show_time(int64_t ms, char out[DATE_TEXT_MAX])
{
	if (ms == 0)
		snprintf(out, DATE_TEXT_MAX, "-");
	else
		date_format(ms / 1000, out);
}

void show_hex(struct span bytes, char *out, size_t cap)
{
	size_t num = (cap - 1) / 2;
	hex_format(span_of(bytes.ptr, bytes.len < num ? bytes.len : num), out);
}

int show_digits(double value)
{
	char text[64];
	for (int digits = 15; digits < 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, value);
		if (!(strtod(text, NULL) < value) && !(strtod(text, NULL) > value))
			return digits;
	}
	return 17;
}

static int digits_of_all(const json_t *value, int least)
{
	const char *key;
	json_t *one;
	size_t i;
	if (json_is_real(value)) {
		int digits = show_digits(json_real_value(value));
		return digits > least ? digits : least;
	}
	json_array_foreach(value, i, one) least = digits_of_all(one, least);
	json_object_foreach((json_t *)value, key, one) least = digits_of_all(one, least);
	return least;
}

void show_json(json_t *object)
{
	size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION((size_t)digits_of_all(object, 15));
	if (object != NULL && json_dumpf(object, stdout, flags) == 0)
		putchar('\n');
	json_decref(object);
}

void show_left_out(uint64_t num, const char *rows)
{
	if (num > 0)
		printf("%llu further %s are not shown: one answer has no more rows\n", (unsigned long long)num, rows);
}

void show_warning(const char *got, const char *expected, const char *fix)
{
	(void)fflush(stdout);
	fprintf(stderr, "warning: %s; expected: %s; fix: %s\n", got, expected, fix);
}

const char *show_bytes(struct span bytes, char *out, size_t cap)
{
	escape_ascii(bytes, out, cap);
	return out;
}

const char *show_text(const json_t *object, const char *key, char *out, size_t cap)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);
	return show_bytes(text == NULL ? span_of(NULL, 0) : span_of(text, json_string_length(value)), out, cap);
}

long long show_number(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}
