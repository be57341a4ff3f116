/* A pod's sidecar: no record of it is stored, so each certificate is a new attestation, and streams work as for others.
 */
#include "control/issue/signer.h"
#include "control/registry/svid_holders.h"
#include "control/serve/operator_status.h"
#include "control/serve/serve_private.h"
#include "control/serve/test_client.h"
#include "proto/handfast/v1/operator.pb-c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define CART "spiffe://td/ns/shop/sa/cart"

/* Knows two tokens, by their names. */
static void review(void *arg, struct span token, _unused_ const struct ip_addr *source, attest_reviewed_fn *on_done,
	void *done_arg)
{
	const struct attest_account cart = {"shop", "cart"}, pay = {"shop", "pay"};
	struct why why = {0};
	const bool *is_ready = arg;
	if (!*is_ready)
		on_done(done_arg, why_set(&why, ERR_UNAVAILABLE, "a pod", "wait", "no pod"), NULL, &why);
	else if (span_eq(token, SPAN_LITERAL("cart")) || span_eq(token, SPAN_LITERAL("cart-2")))
		on_done(done_arg, ERR_NONE, &cart, &why);
	else if (span_eq(token, SPAN_LITERAL("pay")))
		on_done(done_arg, ERR_NONE, &pay, &why);
	else
		on_done(done_arg, why_set(&why, ERR_DENIED, "a token", "get one", "no token"), NULL, &why);
}

static bool is_ready;

static int set_up(void **state)
{
	int result = world_set_up(state);
	struct world *world = *state;
	const struct attest_kubernetes kubernetes = {review, &is_ready};
	is_ready = true;
	attest_set_kubernetes(world->attest, &kubernetes);
	world->kubernetes_token = "cart";
	return result;
}

static void count(void *arg, _unused_ const struct svid_holder *svid_holder)
{
	++*(unsigned *)arg;
}

static unsigned num_records(const struct world *world)
{
	unsigned num = 0;
	svid_holders_list(world->store, count, &num);
	return num;
}

static struct rpc_call *open_stream(struct world *world)
{
	world_enroll(world);
	assert_true(span_eq(spiffe_id_text(svid_id(world->svid)), SPAN_LITERAL(CART)));
	world_connect(world);
	struct rpc_call *stream = world_open_stream(world);
	world_wait_for_messages(world, 1); /* trust */
	return stream;
}

static void a_pod_attests_and_renews_without_a_record(void **state)
{
	struct world *world = *state;
	struct rpc_call *stream = open_stream(world);
	for (unsigned i = 0; i < 3; i++) {
		world_replace_key(&world->leaf_key);
		assert_true(world_renew(world, stream));
	}
	world->kubernetes_token = "cart-2"; /* the kubelet has replaced it */
	world_replace_key(&world->leaf_key);
	assert_true(world_renew(world, stream));
	assert_int_equal(num_records(world), 0);
	assert_int_equal(serve_num_streams(world->serve), 1);
}

/* For `handfast status`: its stream is all that is known of it. */
static void a_pod_is_in_the_status_while_its_stream_is_open(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf answer = BUF_INIT(65536);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	struct rpc_call *stream = open_stream(world);
	world_acknowledge(stream, (struct epoch){.incarnation = 1, .counter = 1});
	world_replace_key(&world->leaf_key);
	assert_true(world_renew(world, stream)); /* after that message */
	assert_int_equal(operator_status(world->serve, &answer), ERR_NONE);
	assert_int_equal(
		pb_unpack(&handfast__v1__status_response__descriptor, buf_span(&answer), &arena, &unpacked, NULL),
		ERR_NONE);
	const Handfast__V1__StatusResponse *status = (const Handfast__V1__StatusResponse *)unpacked;
	assert_int_equal(status->n_svid_holders, 1);
	const Handfast__V1__SvidHolder *row = status->svid_holders[0];
	assert_true(span_eq(pb_span(row->id), SPAN_LITERAL(CART)));
	assert_true(row->connected);
	assert_int_equal(row->n_addresses, 1);
	assert_true(row->svid_not_after_ms > 0);
}

/* Its streams are many, its connection is one. */
static void D40_a_pod_has_one_row_in_the_status_however_many_streams_it_has(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf answer = BUF_INIT(65536);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	struct rpc_call *stream = open_stream(world);
	for (unsigned i = 0; i < 3; i++) {
		world_acknowledge(stream, (struct epoch){.incarnation = 1, .counter = 1});
		stream = world_open_stream(world);
		world_wait_for_messages(world, 1);
	}
	world_acknowledge(stream, (struct epoch){.incarnation = 1, .counter = 1});
	world_replace_key(&world->leaf_key);
	assert_true(world_renew(world, stream)); /* after those messages */
	assert_int_equal(operator_status(world->serve, &answer), ERR_NONE);
	assert_int_equal(
		pb_unpack(&handfast__v1__status_response__descriptor, buf_span(&answer), &arena, &unpacked, NULL),
		ERR_NONE);
	assert_int_equal(serve_num_streams(world->serve), 4);
	assert_int_equal(((const Handfast__V1__StatusResponse *)unpacked)->n_svid_holders, 1);
}

/* A restarted sidecar with an empty state folder has another attestation key. */
static void a_restarted_sidecar_attests_again_at_once(void **state)
{
	struct world *world = *state;
	(void)open_stream(world);
	svid_unref(TAKE_PTR(world->svid));
	world_replace_key(&world->attestation_key);
	world_replace_key(&world->leaf_key);
	(void)open_stream(world);
	assert_int_equal(num_records(world), 0);
}

static void what_is_not_known_yet_may_be_tried_again(void **state)
{
	struct world *world = *state;
	is_ready = false;
	world_connect(world);
	world_attest(world, true);
	assert_int_equal(world->status, RPC_UNAVAILABLE);
	is_ready = true;
	world_attest(world, true);
	assert_int_equal(world->status, RPC_OK);
	world->kubernetes_token = "other";
	world_attest(world, true);
	assert_int_equal(world->status, RPC_PERMISSION_DENIED);
}

static void W9_W22_a_token_alone_is_no_proof(void **state)
{
	struct world *world = *state;
	world_connect(world);
	world_attest(world, false);
	assert_int_equal(world->status, RPC_PERMISSION_DENIED);
	assert_int_equal(world->num_messages, 0);
}

static void W18_refuses_a_renewal_with_the_key_of_before_without_a_record(void **state)
{
	struct world *world = *state;
	struct rpc_call *stream = open_stream(world);
	assert_false(world_renew(world, stream));
	world_replace_key(&world->leaf_key);
	assert_true(world_renew(world, stream));
	assert_false(world_renew(world, stream));
}

static void W20_a_stream_renews_with_its_own_account_alone(void **state)
{
	struct world *world = *state;
	struct rpc_call *stream = open_stream(world);
	world->kubernetes_token = "pay";
	world_replace_key(&world->leaf_key);
	assert_false(world_renew(world, stream));
	world->kubernetes_token = NULL; /* the attestation key, which nothing knows */
	assert_false(world_renew(world, stream));
	world->kubernetes_token = "cart";
	assert_true(world_renew(world, stream));
}

static void W21_a_banned_account_neither_attests_nor_renews(void **state)
{
	struct world *world = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL(CART), &id, NULL), ERR_NONE);
	world_enroll(world);
	svid_holders_ban(world->store, &id, 1, NULL, NULL);
	while (!svid_holders_is_banned(world->store, &id))
		loop_run_once(world->loop, false);
	svid_unref(TAKE_PTR(world->svid));
	world_connect(world);
	world_replace_key(&world->leaf_key);
	world_attest(world, true);
	assert_int_equal(world->status, RPC_PERMISSION_DENIED);
}

enum { MANY_CONNECTIONS = 8, MANY_STREAMS = 4 * MANY_CONNECTIONS };

/* Its connections: the world has one client. */
static void open_many_streams(struct world *world, struct rpc_client *clients[MANY_CONNECTIONS])
{
	world_enroll(world);
	for (size_t i = 0; i < MANY_CONNECTIONS; i++) {
		world_connect(world);
		for (unsigned stream = 0; stream < 4; stream++)
			(void)world_open_stream(world);
		while (serve_num_streams(world->serve) < 4 * (i + 1))
			loop_run_once(world->loop, false);
		clients[i] = TAKE_PTR(world->client);
	}
}

static void on_begun(_unused_ void *arg, enum err err, _unused_ const struct why *why)
{
	assert_int_equal(err, ERR_NONE);
}

static void count_waited(void *arg, const struct waited_sidecar *sidecar)
{
	assert_string_equal(sidecar->id->text, CART);
	++*(unsigned *)arg;
}

/* A rotation waits for each, and shows few of them: others have to be seen too. */
static void D40_a_pod_with_many_streams_does_not_fill_whom_a_rotation_waits_for(void **state)
{
	struct world *world = *state;
	struct rpc_client *clients[MANY_CONNECTIONS];
	unsigned num_shown = 0;
	open_many_streams(world, clients);
	rotation_begin(world->rotation, false, on_begun, NULL);
	while (rotation_state_of(world->rotation)->phase == ROTATION_NONE)
		loop_run_once(world->loop, false);
	assert_true(rotation_progress_of(world->serve, count_waited, &num_shown).num_waited >= MANY_STREAMS);
	assert_int_equal(num_shown, WAITED_IDENTITY_MAX);
	for (size_t i = 0; i < MANY_CONNECTIONS; i++)
		rpc_client_free(clients[i]);
}

/* An operator who sees that no sidecar is waited for sees until when the phase lasts nevertheless. */
static void a_rotation_names_until_when_certificates_without_a_record_are_waited_for(void **state)
{
	struct world *world = *state;
	world->serve->options.has_unrecorded = true;
	rotation_begin(world->rotation, false, on_begun, NULL);
	while (rotation_state_of(world->rotation)->phase == ROTATION_NONE)
		loop_run_once(world->loop, false);
	const struct rotation_progress progress = rotation_progress_of(world->serve, NULL, NULL);
	assert_int_equal(progress.num_waited, 1);
	assert_int_equal(progress.unrecorded_until_s,
		rotation_state_of(world->rotation)->phase_s + world->serve->options.leaf_ttl_s);
	world->serve->options.has_unrecorded = false;
	assert_int_equal(rotation_progress_of(world->serve, NULL, NULL).unrecorded_until_s, 0);
}

#define POD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, world_tear_down)

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], SIGNER_COMMAND) == 0)
		return signer_main(argc, argv);
	const struct CMUnitTest tests[] = {
		POD_TEST(a_pod_attests_and_renews_without_a_record),
		POD_TEST(a_pod_is_in_the_status_while_its_stream_is_open),
		POD_TEST(D40_a_pod_has_one_row_in_the_status_however_many_streams_it_has),
		POD_TEST(a_restarted_sidecar_attests_again_at_once),
		POD_TEST(what_is_not_known_yet_may_be_tried_again),
		POD_TEST(W9_W22_a_token_alone_is_no_proof),
		POD_TEST(W18_refuses_a_renewal_with_the_key_of_before_without_a_record),
		POD_TEST(W20_a_stream_renews_with_its_own_account_alone),
		POD_TEST(D40_a_pod_with_many_streams_does_not_fill_whom_a_rotation_waits_for),
		POD_TEST(a_rotation_names_until_when_certificates_without_a_record_are_waited_for),
		POD_TEST(W21_a_banned_account_neither_attests_nor_renews),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
