/* What `handfast status` states of a sidecar that has two processes. */
#include "control/serve/operator_status.h"

#include "base/core/mem.h"
#include "base/core/test_wait.h"
#include "control/issue/signer.h"
#include "control/serve/test_client.h"
#include "proto/handfast/v1/operator.pb-c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

struct shown {
	struct world *world;
	size_t num_rows, num_conditions;
	char release[16];
	bool is_draining;
	uint64_t acked;
};

static void look(struct shown *out)
{
	_cleanup_(buf_done) struct buf answer = BUF_INIT(65536);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	assert_int_equal(operator_status(out->world->serve, &answer), ERR_NONE);
	assert_int_equal(
		pb_unpack(&handfast__v1__status_response__descriptor, buf_span(&answer), &arena, &unpacked, NULL),
		ERR_NONE);
	const Handfast__V1__StatusResponse *status = (const Handfast__V1__StatusResponse *)unpacked;
	const Handfast__V1__SvidHolder *row = status->svid_holders[0];
	out->num_rows = status->n_svid_holders;
	out->is_draining = row->draining;
	out->acked = row->acked == NULL ? 0 : row->acked->counter;
	out->num_conditions = row->health == NULL ? 0 : row->health->conditions;
	(void)snprintf(
		out->release, sizeof out->release, "%.*s", (int)row->release.len, (const char *)row->release.data);
}

static struct span hello_of(const char *release, bool is_draining, uint64_t conditions, struct buf *out)
{
	Handfast__V1__IdentityUp up = HANDFAST__V1__IDENTITY_UP__INIT;
	Handfast__V1__Hello hello = HANDFAST__V1__HELLO__INIT;
	Handfast__V1__SidecarHealth health = HANDFAST__V1__SIDECAR_HEALTH__INIT;
	hello.protocol_version = 1;
	hello.release = pb_bytes(span_of_str(release));
	health.ready = true;
	health.conditions = conditions;
	up.kind_case = HANDFAST__V1__IDENTITY_UP__KIND_HELLO;
	up.hello = &hello;
	up.health = &health;
	up.draining = is_draining;
	assert_int_equal(pb_pack(&up.base, out), ERR_NONE);
	return buf_span(out);
}

/* A process of that release: on a connection of its own, with its trust state confirmed. */
static struct rpc_call *open_process(struct world *world, const char *release, uint64_t conditions)
{
	_cleanup_(buf_done) struct buf hello = BUF_INIT(256);
	world_connect(world);
	struct rpc_call *stream =
		world_call(world, "/handfast.v1.Identity/Stream", hello_of(release, false, conditions, &hello));
	world_wait_for_messages(world, 1);
	world_acknowledge(stream, trust_epoch(world->trust));
	return stream;
}

static bool is_of_release(struct shown *shown, const char *release)
{
	look(shown);
	return shown->acked > 0 && strcmp(shown->release, release) == 0;
}

static void a_row_is_of_the_process_whose_stream_was_opened_last(void **state)
{
	struct world *world = *state;
	struct shown shown = {.world = world};
	_cleanup_(buf_done) struct buf hello = BUF_INIT(256);
	world_enroll(world);
	struct rpc_call *stream = open_process(world, "0.1.0", 4);
	assert_true(WAIT_UNTIL(is_of_release(&shown, "0.1.0"), loop_run_once(world->loop, false)));
	struct rpc_client *former = TAKE_PTR(world->client);
	(void)open_process(world, "0.2.0", 0);
	assert_true(WAIT_UNTIL(is_of_release(&shown, "0.2.0"), loop_run_once(world->loop, false)));
	assert_int_equal(
		rpc_call_send(stream, hello_of("0.1.0", true, 4, &hello)), ERR_NONE); /* it reports on, and drains */
	world_acknowledge(stream, trust_epoch(world->trust));
	world_run(world, 20);
	assert_true(is_of_release(&shown, "0.2.0"));
	assert_false(shown.is_draining);
	assert_int_equal(shown.num_conditions, 0);
	assert_int_equal(shown.num_rows, 1);
	rpc_client_free(TAKE_PTR(world->client));
	assert_true(WAIT_UNTIL(is_of_release(&shown, "0.1.0") && shown.is_draining, loop_run_once(world->loop, false)));
	rpc_client_free(former);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], SIGNER_COMMAND) == 0)
		return signer_main(argc, argv);
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_row_is_of_the_process_whose_stream_was_opened_last),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
