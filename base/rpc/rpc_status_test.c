#include "base/rpc/rpc_status.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void statuses_have_names_and_numbers(_unused_ void **state)
{
	enum rpc_status status;
	assert_string_equal(rpc_status_name(RPC_UNAUTHENTICATED), "UNAUTHENTICATED");
	assert_string_equal(rpc_status_name((enum rpc_status)99), "UNKNOWN");
	assert_int_equal(rpc_status_parse(SPAN_LITERAL("16"), &status), ERR_NONE);
	assert_int_equal(status, RPC_UNAUTHENTICATED);
	assert_int_equal(rpc_status_parse(SPAN_LITERAL("17"), &status), ERR_NONE);
	assert_int_equal(status, RPC_UNKNOWN);
}

static void a_refusal_of_three_clauses_keeps_them_apart(_unused_ void **state)
{
	const struct why otherwise = {
		.err = ERR_DENIED, .expected = "an SVID", .fix = "see the log", .got = "the attestation failed"};
	struct why why;
	char text[700];
	assert_int_equal(rpc_status_why(RPC_PERMISSION_DENIED,
				 "the token was used; expected: an unused token; fix: make a new one; or ban it",
				 &otherwise, &why),
		ERR_DENIED);
	assert_string_equal(why_format(&why, text, sizeof(text)),
		"the attestation failed: PERMISSION_DENIED: the token was used; expected: an unused token; "
		"fix: make a new one; or ban it");
	assert_int_equal(rpc_status_why(RPC_UNAVAILABLE, "away", &otherwise, &why), ERR_DENIED);
	assert_string_equal(why_format(&why, text, sizeof(text)),
		"the attestation failed: UNAVAILABLE: away; expected: an SVID; fix: see the log");
	assert_int_equal(rpc_status_why(RPC_UNAVAILABLE, NULL, &otherwise, &why), ERR_DENIED);
	assert_string_equal(why.got, "the attestation failed: UNAVAILABLE");
}

static void refuses_a_status_that_is_not_a_number(_unused_ void **state)
{
	enum rpc_status status;
	assert_int_equal(rpc_status_parse(SPAN_LITERAL(""), &status), ERR_MALFORMED);
	assert_int_equal(rpc_status_parse(SPAN_LITERAL("-1"), &status), ERR_MALFORMED);
	assert_int_equal(rpc_status_parse(SPAN_LITERAL("99999999999999999999"), &status), ERR_MALFORMED);
}

static void maps_http_and_http2_errors_to_statuses(_unused_ void **state)
{
	assert_int_equal(rpc_status_of_http(SPAN_LITERAL("404")), RPC_UNIMPLEMENTED);
	assert_int_equal(rpc_status_of_http(SPAN_LITERAL("503")), RPC_UNAVAILABLE);
	assert_int_equal(rpc_status_of_http(SPAN_LITERAL("418")), RPC_UNKNOWN);
	assert_int_equal(rpc_status_of_h2_error(8), RPC_CANCELLED);
	assert_int_equal(rpc_status_of_h2_error(7), RPC_UNAVAILABLE);
	assert_int_equal(rpc_status_of_h2_error(1), RPC_INTERNAL);
}

static void round_trips_a_message(_unused_ void **state)
{
	char encoded[64], decoded[64];
	rpc_message_encode("100% \xc3\xa4\n", encoded, sizeof(encoded));
	assert_string_equal(encoded, "100%25 %C3%A4%0A");
	rpc_message_decode(span_of_str(encoded), decoded, sizeof(decoded));
	assert_string_equal(decoded, "100% \xc3\xa4\n");
}

static void a_message_is_cut_between_escapes(_unused_ void **state)
{
	char encoded[6];
	assert_int_equal(rpc_message_encode("a\xc3\xa4", encoded, sizeof(encoded)), 4);
	assert_string_equal(encoded, "a%C3");
}

static void keeps_invalid_escapes(_unused_ void **state)
{
	char decoded[16];
	rpc_message_decode(SPAN_LITERAL("%zz %4"), decoded, sizeof(decoded));
	assert_string_equal(decoded, "%zz %4");
	rpc_message_decode(SPAN_LITERAL("a%00b"), decoded, sizeof(decoded));
	assert_string_equal(decoded, "a?b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statuses_have_names_and_numbers),
		cmocka_unit_test(a_refusal_of_three_clauses_keeps_them_apart),
		cmocka_unit_test(refuses_a_status_that_is_not_a_number),
		cmocka_unit_test(maps_http_and_http2_errors_to_statuses),
		cmocka_unit_test(round_trips_a_message),
		cmocka_unit_test(a_message_is_cut_between_escapes),
		cmocka_unit_test(keeps_invalid_escapes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
