/* The connections of one identity and of strangers: how many are kept, and which are closed. */
#include "control/issue/signer.h"
#include "control/serve/test_client.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

/* Keeps the present client beside the next one. */
static struct rpc_client *keep_client(struct world *world)
{
	return TAKE_PTR(world->client);
}

static void free_clients(struct world *world, struct rpc_client **clients, unsigned num)
{
	for (unsigned i = 0; i < num; i++)
		rpc_client_free(clients[i]);
	world_run(world, 10);
}

static void W21_ends_the_connection_of_a_banned_identity(void **state)
{
	struct world *world = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	world_enroll(world);
	world_connect(world);
	world_open_stream(world);
	world_wait_for_messages(world, 1);
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL(TEST_ID), &id, NULL), ERR_NONE);
	svid_holders_ban(world->store, &id, 1800000000, NULL, NULL);
	world_wait_until(world, &world->is_closed);
	world_connect(world);
	world_wait_until(world, &world->is_closed); /* its certificate is refused in the handshake */
}

/* 51 of the 100: the oldest is closed, so that a sidecar that dials again is admitted. */
static void finding_l6_one_identity_has_half_of_the_connections(void **state)
{
	enum { MANY = 60 };
	struct world *world = *state;
	struct rpc_client *clients[MANY];
	world_enroll(world);
	world_disconnect(world);
	for (int i = 0; i < MANY; i++) {
		world_connect(world);
		assert_true(world->is_connected);
		clients[i] = keep_client(world);
	}
	while (metrics_read(world->metrics, CONTROL_REFUSED_IDENTITY) == 0 || serve_num_connections(world->serve) > 51)
		loop_run_once(world->loop, false);
	world_run(world, 100);
	assert_true(metrics_read(world->metrics, CONTROL_REFUSED_IDENTITY) > 0);
	assert_int_equal(serve_num_connections(world->serve), 51);
	free_clients(world, clients, MANY);
}

/* A stranger needs no identity to complete a handshake. */
static void finding_i1_anonymous_connections_of_one_source_are_closed_when_the_limit_is_reached(void **state)
{
	enum { MANY = 12 };
	struct world *world = *state;
	struct rpc_client *strangers[MANY];
	for (int i = 0; i < MANY; i++) {
		world_connect(world);
		strangers[i] = keep_client(world);
	}
	assert_int_equal(serve_num_connections(world->serve), 10);
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("127.0.0.2"), &world->source), ERR_NONE);
	world_connect(world); /* the stranger's end is closed first */
	for (int i = 0; i < 10000 && !world->is_connected; i++)
		loop_run_once(world->loop, false);
	assert_true(world->is_connected);
	world_attest(world, true);
	assert_int_equal(world->status, RPC_OK);
	world_keep_svid(world);
	world_connect(world);
	assert_true(world->is_connected);
	assert_int_equal(serve_num_connections(world->serve), 10);
	free_clients(world, strangers, MANY);
	while (serve_num_connections(world->serve) > 1)
		loop_run_once(world->loop, false);
	assert_int_equal(serve_num_connections(world->serve), 1); /* the connection with an identity stayed */
}

static int set_up_few_connections(void **state)
{
	return world_set_up_for(state, 10);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], SIGNER_COMMAND) == 0)
		return signer_main(argc, argv);
	const struct CMUnitTest tests[] = {
		WORLD_TEST(W21_ends_the_connection_of_a_banned_identity),
		WORLD_TEST(finding_l6_one_identity_has_half_of_the_connections),
		cmocka_unit_test_setup_teardown(
			finding_i1_anonymous_connections_of_one_source_are_closed_when_the_limit_is_reached,
			set_up_few_connections, world_tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
