#include "base/h2/h2_session.h"
#include <nghttp2/nghttp2.h>
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static void errors_have_names(void **state)
{
	(void)state;
	assert_string_equal(h2_error_name(8), "CANCEL");
	assert_string_equal(h2_error_name(11), "ENHANCE_YOUR_CALM");
	assert_string_equal(h2_error_name(99999), "UNKNOWN");
	assert_non_null(h2_library_version());
}

/* The whole table of RFC 9113 7, written anew: a name at another place would mislead the reader of a log. */
static void each_code_has_the_name_of_the_rfc(void **state)
{
	static const struct {
		uint32_t code;
		const char *name;
	} rows[] = {
		{0x0, "NO_ERROR"},
		{0x1, "PROTOCOL_ERROR"},
		{0x2, "INTERNAL_ERROR"},
		{0x3, "FLOW_CONTROL_ERROR"},
		{0x4, "SETTINGS_TIMEOUT"},
		{0x5, "STREAM_CLOSED"},
		{0x6, "FRAME_SIZE_ERROR"},
		{0x7, "REFUSED_STREAM"},
		{0x8, "CANCEL"},
		{0x9, "COMPRESSION_ERROR"},
		{0xa, "CONNECT_ERROR"},
		{0xb, "ENHANCE_YOUR_CALM"},
		{0xc, "INADEQUATE_SECURITY"},
		{0xd, "HTTP_1_1_REQUIRED"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_string_equal(h2_error_name(rows[i].code), rows[i].name);
}

/* A peer may send any 32 bits. */
static void a_code_of_no_rfc_is_unknown(void **state)
{
	static const uint32_t codes[] = {0xe, 0xf, 0x100, INT32_MAX, (uint32_t)INT32_MAX + 1, UINT32_MAX};
	(void)state;
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		assert_string_equal(h2_error_name(codes[i]), "UNKNOWN");
}

static void the_library_has_the_version_that_was_built(void **state)
{
	(void)state;
	assert_string_equal(h2_library_version(), NGHTTP2_VERSION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_have_names),
		cmocka_unit_test(each_code_has_the_name_of_the_rfc),
		cmocka_unit_test(a_code_of_no_rfc_is_unknown),
		cmocka_unit_test(the_library_has_the_version_that_was_built),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
