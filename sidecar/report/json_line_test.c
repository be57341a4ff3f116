#include "sidecar/report/json_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *closed(struct json_line *line, char *out)
{
	assert_true(json_line_close(line));
	out[line->len] = '\0';
	return out;
}

static void an_object_is_one_line(void **state)
{
	(void)state;
	char out[256];
	struct json_line line;
	json_line_open(&line, out, sizeof(out) - 1, 100);
	json_line_text(&line, "a", "b");
	json_line_number(&line, "n", UINT64_MAX);
	json_line_object(&line, "in");
	json_line_bool(&line, "yes", true);
	json_line_object_end(&line);
	json_line_text(&line, "absent", NULL);
	json_line_bool(&line, "no", false);
	assert_string_equal(
		closed(&line, out), "{\"a\":\"b\",\"n\":18446744073709551615,\"in\":{\"yes\":true},\"no\":false}\n");
}

static void quotes_newlines_and_other_bytes_cannot_forge_a_member(void **state)
{
	(void)state;
	char out[256];
	struct json_line line;
	json_line_open(&line, out, sizeof(out) - 1, 100);
	json_line_text(&line, "a", "x\",\"b\":\"\\\n\x1b[2J\xff");
	assert_string_equal(closed(&line, out), "{\"a\":\"x\\\",\\\"b\\\":\\\"\\\\\\\\x0a\\\\x1b[2J\\\\xff\"}\n");
}

static void a_long_text_is_truncated_and_ends_in_dots(void **state)
{
	(void)state;
	char out[64];
	struct json_line line;
	json_line_open(&line, out, sizeof(out) - 1, 4);
	json_line_text(&line, "a", "12345");
	json_line_text(&line, "b", "1234");
	assert_string_equal(closed(&line, out), "{\"a\":\"1234...\",\"b\":\"1234\"}\n");
}

static void a_line_that_does_not_fit_fails_at_every_length(void **state)
{
	(void)state;
	char out[64];
	for (size_t cap = 0; cap < 12; cap++) {
		struct json_line line;
		json_line_open(&line, out, cap, 100);
		json_line_text(&line, "a", "bcde"); /* {"a":"bcde"} and the newline: 13 */
		assert_false(json_line_close(&line));
		assert_true(line.len <= cap);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_object_is_one_line),
		cmocka_unit_test(quotes_newlines_and_other_bytes_cannot_forge_a_member),
		cmocka_unit_test(a_long_text_is_truncated_and_ends_in_dots),
		cmocka_unit_test(a_line_that_does_not_fit_fails_at_every_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
