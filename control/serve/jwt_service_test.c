/* JWT-SVIDs of the Identity service, and their lines in the audit log. */
#include "base/core/log.h"
#include "control/issue/signer.h"
#include "control/serve/test_client.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define FETCH "/handfast.v1.Identity/FetchJwt"

struct lines { /* of the audit log, about JWT-SVIDs */
	unsigned num;
	char last[300];
};

static void on_line(void *arg, const char *text)
{
	struct lines *lines = arg;
	if (strncmp(text, "JWT-SVID", strlen("JWT-SVID")) != 0)
		return;
	lines->num++;
	(void)snprintf(lines->last, sizeof(lines->last), "%s", text);
}

static void fetch(struct world *world, struct span request)
{
	rpc_call_close_send(world_call(world, FETCH, request));
	world_wait_until(world, &world->is_over);
}

static void a_connection_has_one_audit_line_per_minute(void **state)
{
	struct world *world = *state;
	struct lines lines = {0};
	world_enroll(world);
	world_connect(world);
	log_set_tap("audit", on_line, &lines);
	for (unsigned i = 0; i < 3; i++) {
		fetch(world, SPAN_LITERAL("\x0a\x01"
					  "a\x0a\x01"
					  "b"));
		assert_int_equal(world->status, RPC_OK);
		assert_int_equal(world->num_messages, 1);
	}
	assert_int_equal(lines.num, 1);
	assert_non_null(strstr(lines.last, "issued: " TEST_ID " from 127.0.0.1 for a b"));
	world_disconnect(world);
	while (serve_num_connections(world->serve) > 0)
		loop_run_once(world->loop, false);
	assert_int_equal(lines.num, 2);
	assert_non_null(strstr(lines.last, "issued: 2 more within a minute to " TEST_ID " from 127.0.0.1"));
	log_set_tap(NULL, NULL, NULL);
}

static void a_malformed_audience_is_refused_with_an_audit_line(void **state)
{
	static const struct span requests[] = {SPAN_LITERAL(""), SPAN_LITERAL("\x0a\x00"),
		SPAN_LITERAL("\x0a\x03"
			     "a\nb"),
		SPAN_LITERAL("\x0a\x01\""), SPAN_LITERAL("\xff\xff")};
	struct world *world = *state;
	struct lines lines = {0};
	world_enroll(world);
	world_connect(world);
	log_set_tap("audit", on_line, &lines);
	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		fetch(world, requests[i]);
		assert_int_equal(world->status, RPC_INVALID_ARGUMENT);
		assert_int_equal(world->num_messages, 0);
		assert_int_equal(lines.num, i + 1);
	}
	assert_non_null(strstr(lines.last, "refused: " TEST_ID));
	log_set_tap(NULL, NULL, NULL);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], SIGNER_COMMAND) == 0)
		return signer_main(argc, argv);
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_connection_has_one_audit_line_per_minute),
		WORLD_TEST(a_malformed_audience_is_refused_with_an_audit_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
