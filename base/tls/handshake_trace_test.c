#include "base/core/buf.h"
#include "base/tls/test_pair.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static void on_step(void *arg, const char *step)
{
	assert_int_equal(buf_printf(arg, "%s\n", step), ERR_NONE);
}

static const char seven_steps[] = "client connects\n"
				  "server presents its certificate: " TEST_SERVER_ID "\n"
				  "client verifies the server's certificate\n"
				  "client presents its certificate: " TEST_CLIENT_ID "\n"
				  "server verifies the client's certificate\n"
				  "server grants access\n"
				  "client and server exchange bytes, encrypted\n";

static void each_side_reports_the_steps_it_observes(void **state)
{
	struct test_pair *pair = *state;
	_cleanup_(buf_done) struct buf client = BUF_INIT(4096), server = BUF_INIT(4096);
	test_pair_open(pair);
	tls_session_trace(pair->client, on_step, &client);
	tls_session_trace(pair->server, on_step, &server);
	(void)test_pair_handshake(pair);
	test_send(pair->client, "ping");
	test_expect(pair->server, "ping");
	test_send(pair->server, "pong");
	test_expect(pair->client, "pong");
	test_send(pair->client, "again");
	assert_string_equal(buf_cstr(&client), "client connects\n"
					       "server presents its certificate: " TEST_SERVER_ID "\n"
					       "client verifies the server's certificate\n"
					       "client presents its certificate: " TEST_CLIENT_ID "\n"
					       "server grants access\n"
					       "client and server exchange bytes, encrypted\n");
	assert_string_equal(buf_cstr(&server), "client connects\n"
					       "server presents its certificate: " TEST_SERVER_ID "\n"
					       "client presents its certificate: " TEST_CLIENT_ID "\n"
					       "server verifies the client's certificate\n"
					       "server grants access\n"
					       "client and server exchange bytes, encrypted\n");
}

/* For the demo, where one listener receives the steps of both sides. */
static void both_sides_together_report_all_seven(void **state)
{
	struct test_pair *pair = *state;
	_cleanup_(buf_done) struct buf reported = BUF_INIT(8192);
	test_pair_open(pair);
	tls_session_trace(pair->client, on_step, &reported);
	tls_session_trace(pair->server, on_step, &reported);
	(void)test_pair_handshake(pair);
	test_send(pair->client, "ping");
	test_expect(pair->server, "ping");
	test_send(pair->server, "pong");
	const char *rest = buf_cstr(&reported);
	for (const char *step = seven_steps; *step != '\0';) {
		const char *end = strchr(step, '\n') + 1;
		char line[200] = "";
		memcpy(line, step, (size_t)(end - step));
		rest = strstr(rest, line);
		assert_non_null(rest);
		step = end;
	}
}

static void reports_a_refusal(void **state)
{
	struct test_pair *pair = *state;
	_cleanup_(buf_done) struct buf reported = BUF_INIT(4096);
	pair->server_verdict.err = ERR_EXPIRED;
	test_pair_open(pair);
	tls_session_trace(pair->server, on_step, &reported);
	(void)test_pair_handshake(pair);
	assert_non_null(strstr(buf_cstr(&reported), "server refuses the client's certificate: no longer valid\n"));
	assert_null(strstr(buf_cstr(&reported), "grants"));
}

static void reports_a_client_without_a_certificate(void **state)
{
	struct test_pair *pair = *state;
	_cleanup_(buf_done) struct buf reported = BUF_INIT(4096);
	struct tls_session_options anonymous = {0};
	struct tls_session_options server = {.svid = pair->server_identity.svid, .key = pair->server_identity.key};
	test_pair_open_as(pair, &anonymous, &server);
	tls_session_trace(pair->client, on_step, &reported);
	(void)test_pair_handshake(pair);
	assert_non_null(strstr(buf_cstr(&reported), "client has no certificate to present\n"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_pair_setup, test_pair_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(each_side_reports_the_steps_it_observes),
		CASE(both_sides_together_report_all_seven),
		CASE(reports_a_refusal),
		CASE(reports_a_client_without_a_certificate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
