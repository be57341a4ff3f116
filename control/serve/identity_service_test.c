/* Streams of the Identity service: who may open one, how many, and renewals. */
#include "base/core/test_wait.h"
#include "control/issue/signer.h"
#include "control/serve/test_client.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

/* C5: each stream costs memory, and work at every change. */
static void C5_a_connection_has_few_streams(void **state)
{
	struct world *world = *state;
	world_enroll(world);
	world_connect(world);
	for (int i = 0; i < 4; i++)
		world_open_stream(world);
	static const struct rpc_call_handlers handlers = {0};
	struct rpc_call *fifth;
	assert_int_equal(
		rpc_client_call(world->client, "/handfast.v1.Identity/Stream", 0, &handlers, world, &fifth), ERR_LIMIT);
	assert_true(WAIT_UNTIL(serve_num_streams(world->serve) == 4, loop_run_once(world->loop, false)));
}

/* C1: no message is parsed. */
static void C1_refuses_streams_to_a_client_without_certificate(void **state)
{
	struct world *world = *state;
	const char *paths[] = {"/handfast.v1.Identity/Stream", "/handfast.v1.Discovery/Stream"};
	for (size_t i = 0; i < 2; i++) {
		world_connect(world);
		world_call(world, paths[i], SPAN_LITERAL("\xff\xff\xff"));
		world_wait_until(world, &world->is_over);
		assert_int_equal(world->status, RPC_UNAUTHENTICATED);
		assert_int_equal(world->num_messages, 0);
	}
}

static void W18_refuses_a_renewal_with_the_key_of_before(void **state)
{
	struct world *world = *state;
	world_enroll(world);
	world_connect(world);
	struct rpc_call *stream = world_open_stream(world);
	world_wait_for_messages(world, 1); /* trust */
	assert_false(world_renew(world, stream));
	world_replace_key(&world->leaf_key);
	assert_true(world_renew(world, stream));
}

static void on_begun(_unused_ void *arg, enum err err, _unused_ const struct why *why)
{
	assert_int_equal(err, ERR_NONE);
}

static bool is_published(struct world *world)
{
	return rotation_state_of(world->rotation)->phase == ROTATION_PUBLISHING && trust_roots_since(world->trust) != 0;
}

/* Later certificates than that of the connection are in its record, and the two last keys are known: processes that
 * were upgraded have renewed. */
static struct rpc_call *open_with_an_earlier_certificate(struct world *world)
{
	world_enroll(world);
	world_connect(world);
	struct rpc_call *stream = world_open_stream(world);
	world_wait_for_messages(world, 1); /* trust */
	struct private_key *earlier = private_key_ref(world->leaf_key);
	for (int i = 0; i < 2; i++) {
		world_replace_key(&world->leaf_key);
		assert_true(world_renew(world, stream));
	}
	private_key_unref(world->leaf_key);
	world->leaf_key = earlier;
	world_connect(world);
	stream = world_open_stream(world);
	world_wait_for_messages(world, 1);
	return stream;
}

/* It confirms once, which is before its record is known by its next certificate. */
static void a_rotation_takes_a_confirmation_from_before_the_record_was_known(void **state)
{
	struct world *world = *state;
	struct rpc_call *stream = open_with_an_earlier_certificate(world);
	rotation_begin(world->rotation, false, on_begun, NULL);
	assert_true(WAIT_UNTIL(is_published(world), loop_run_once(world->loop, false)));
	world_wait_for_messages(world, 2); /* trust, with the next root */
	world_acknowledge(stream, trust_epoch(world->trust));
	world_replace_key(&world->leaf_key);
	assert_true(world_renew(world, stream));
	assert_true(WAIT_UNTIL(
		rotation_state_of(world->rotation)->phase != ROTATION_PUBLISHING, loop_run_once(world->loop, false)));
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], SIGNER_COMMAND) == 0)
		return signer_main(argc, argv);
	const struct CMUnitTest tests[] = {
		WORLD_TEST(C5_a_connection_has_few_streams),
		WORLD_TEST(C1_refuses_streams_to_a_client_without_certificate),
		WORLD_TEST(W18_refuses_a_renewal_with_the_key_of_before),
		WORLD_TEST(a_rotation_takes_a_confirmation_from_before_the_record_was_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
