#include "base/core/check.h"
#include "base/kube/watch_event.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static enum err parse(const char *line, struct watch_event *out, struct why *why)
{
	return watch_event_parse(span_of_str(line), out, why);
}

static void parses_changes(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		enum watch_event_type type;
	} cases[] = {
		{"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"12\"}}}", WATCH_ADDED},
		{"{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"resourceVersion\":\"12\"}}}", WATCH_MODIFIED},
		{"{\"object\":{\"metadata\":{\"resourceVersion\":\"12\"}},\"type\":\"DELETED\"}", WATCH_DELETED},
		{"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"12\"}}}", WATCH_BOOKMARK},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_(watch_event_done) struct watch_event event = {0};
		assert_int_equal(parse(cases[i].line, &event, NULL), ERR_NONE);
		assert_int_equal(event.type, cases[i].type);
		assert_string_equal(event.version, "12");
		assert_false(event.ends_initial_events);
		assert_true(json_is_object(event.object));
	}
}

static void knows_the_bookmark_that_ends_the_initial_events(void **state)
{
	(void)state;
	_cleanup_(watch_event_done) struct watch_event event = {0};
	assert_int_equal(parse("{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"308\","
			       "\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}",
				 &event, NULL),
		ERR_NONE);
	assert_true(event.ends_initial_events);
}

static void parses_errors(void **state)
{
	(void)state;
	_cleanup_(watch_event_done) struct watch_event event = {0};
	assert_int_equal(parse("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"message\":\"Too large resource "
			       "version\",\"details\":{\"retryAfterSeconds\":1},\"code\":504}}",
				 &event, NULL),
		ERR_NONE);
	assert_int_equal(event.type, WATCH_ERROR);
	assert_int_equal(event.code, 504);
	assert_int_equal(event.retry_after_s, 1);
	assert_string_equal(event.message, "Too large resource version");
}

static void an_object_with_a_nul_in_a_text_is_an_event(void **state)
{
	(void)state;
	_cleanup_(watch_event_done) struct watch_event event = {0};
	assert_int_equal(parse("{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"12\","
			       "\"annotations\":{\"a\":\"b\\u0000c\"}}}}",
				 &event, NULL),
		ERR_NONE);
	assert_string_equal(event.version, "12");
}

static void refuses_what_is_no_event(void **state)
{
	(void)state;
	static const char *const lines[] = {"", "{", "[]", "1", "{\"type\":\"ADDED\"}",
		"{\"type\":\"ADDED\",\"object\":[]}", "{\"type\":\"OTHER\",\"object\":{}}", "{\"object\":{}}",
		"{\"type\":1,\"object\":{}}", "{\"type\":\"ADDED\",\"object\":{\"metadata\":{}}}",
		"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"\"}}}",
		"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"1&watch=0\"}}}",
		"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":7}}}"};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct watch_event event = {0};
		struct why why = {0};
		assert_int_equal(parse(lines[i], &event, &why), ERR_MALFORMED);
		assert_string_not_equal(why.got, "");
		assert_null(event.root);
	}
}

static void compares_versions_as_numbers(void **state)
{
	(void)state;
	assert_true(kube_version_is_before("9", "10"));
	assert_true(kube_version_is_before("10", "11"));
	assert_false(kube_version_is_before("11", "11"));
	assert_false(kube_version_is_before("12", "11"));
	assert_false(kube_version_is_before("a", "b")); /* opaque: not comparable */
	assert_false(kube_version_is_before("", "1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_changes),
		cmocka_unit_test(knows_the_bookmark_that_ends_the_initial_events),
		cmocka_unit_test(parses_errors),
		cmocka_unit_test(an_object_with_a_nul_in_a_text_is_an_event),
		cmocka_unit_test(refuses_what_is_no_event),
		cmocka_unit_test(compares_versions_as_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
