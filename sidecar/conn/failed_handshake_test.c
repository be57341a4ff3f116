#include "base/net/fd.h"
#include "sidecar/conn/test_conns.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

static void end_with(struct test_conns *conns, enum err err, bool failed_by_peer)
{
	struct addr local, remote;
	struct why why = {0};
	assert_int_equal(addr_parse(span_of_str("192.0.2.1:8443"), &local), ERR_NONE);
	assert_int_equal(addr_parse(span_of_str("192.0.2.9:40000"), &remote), ERR_NONE);
	(void)why_set(&why, err, "a handshake", "mend it", "it failed");
	const struct direct_failure failure = {.local = &local,
		.remote = &remote,
		.begun_ms = loop_now_ms(conns->loop),
		.failed_by_peer = failed_by_peer,
		.detail = &why};
	test_conns_wait(conns, 30);
	conn_report_failed_handshake(&conns->env, &failure);
}

static void the_error_gives_the_close_reason(void **state)
{
	struct test_conns *conns = *state;
	static const struct {
		enum err err;
		bool failed_by_peer;
		enum close_reason reason;
	} cases[] = {
		{ERR_PROTOCOL, false, CLOSE_TLS_FAILED},
		{ERR_NO_CERTIFICATE, false, CLOSE_TLS_FAILED},
		{ERR_TIMEOUT, false, CLOSE_TLS_TIMEOUT},
		{ERR_WRONG_PEER, false, CLOSE_WRONG_PEER},
		{ERR_EXPIRED, false, CLOSE_PEER_EXPIRED},
		{ERR_NOT_YET_VALID, false, CLOSE_PEER_EXPIRED},
		{ERR_UNTRUSTED, false, CLOSE_PEER_UNTRUSTED},
		{ERR_REVOKED, false, CLOSE_PEER_UNTRUSTED},
		{ERR_LIMIT, false, CLOSE_LIMIT_REACHED},
		{ERR_UNAVAILABLE, false, CLOSE_NO_IDENTITY},
		{ERR_UNTRUSTED, true, CLOSE_REFUSED_BY_PEER},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		end_with(conns, cases[i].err, cases[i].failed_by_peer);
		assert_int_equal(conns->num_begun, i + 1);
		assert_int_equal(conns->num_ended, i + 1);
		assert_int_equal(conns->reason, cases[i].reason);
	}
}

static void the_record_has_both_ends_and_what_failed(void **state)
{
	struct test_conns *conns = *state;
	end_with(conns, ERR_PROTOCOL, false);
	const struct access_record *record = &conns->record;
	assert_string_equal(record->direction, "inbound");
	assert_int_equal(record->source.port, 40000);
	assert_int_equal(record->destination.port, 8443);
	assert_true(record->failed && !record->relayed && !record->encrypted);
	assert_null(record->source_id); /* no identity was proven */
	assert_in_range(record->duration_ms, 30, 1000);
	assert_string_equal(conns->detail.got, "it failed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONNS_TEST(the_error_gives_the_close_reason),
		CONNS_TEST(the_record_has_both_ends_and_what_failed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
