/* What a stream begins with, and the mesh's state and policy on it. */
#include "control/distribute/test_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void the_mesh_comes_first_and_again_when_the_settings_change(void **state)
{
	struct test_stream *world = *state;
	test_stream_hello(world, 1);
	test_stream_run(world, NULL, &world->num_mesh, 1);
	assert_int_equal(world->num_networks, 1);
	world->next_config = test_stream_config("192.0.2.0/24, 198.51.100.0/24");
	registry_set_config(world->registry, world->next_config);
	distributor_set_config(world->distributor, world->next_config);
	test_stream_run(world, NULL, &world->num_mesh, 2);
	assert_int_equal(world->num_networks, 2);
}

static bool policies_are_known, concerns_web;
static unsigned num_in_force;

static bool is_known(void *arg)
{
	(void)arg;
	return policies_are_known;
}

static void find_none(void *arg, const struct spiffe_id *id, struct policy_found *out)
{
	(void)arg;
	assert_string_equal(id->text, "spiffe://cluster.local/web");
	out->num = 0;
}

static bool concerns(void *arg, const struct spiffe_id *id)
{
	(void)arg;
	(void)id;
	return concerns_web;
}

static void count_in_force(void *arg, const struct spiffe_id *id, bool is_in_force)
{
	(void)arg;
	(void)id;
	num_in_force += is_in_force;
}

static void send_ack(struct test_stream *world, uint64_t version)
{
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__DiscoveryAck ack = HANDFAST__V1__DISCOVERY_ACK__INIT;
	ack.version = version;
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_ACK;
	up.ack = &ack;
	test_stream_send(world, &up);
	for (int i = 0; i < 20; i++)
		loop_run_once(world->loop, false);
	num_in_force = 0;
	distributor_each_sidecar(world->distributor, count_in_force, NULL);
}

static void K14_a_policy_waits_for_its_source_and_goes_to_those_that_it_concerns(void **state)
{
	struct test_stream *world = *state;
	policies_are_known = concerns_web = false;
	distributor_set_policies(world->distributor, &(struct policy_source){.is_known = is_known, .find = find_none});
	test_stream_hello(world, 1);
	test_stream_subscribe(world, "192.0.2.7:80");
	test_stream_run(world, NULL, &world->num_answers, 1);
	assert_int_equal(world->num_mesh, 0);
	policies_are_known = true;
	distributor_policies_changed(world->distributor, concerns, NULL);
	test_stream_run(world, NULL, &world->num_mesh, 1);
	send_ack(world, world->answer_version);
	assert_int_equal(num_in_force, 0); /* an answer was confirmed, not the policy */
	uint64_t marks = distributor_policy_marks(world->distributor);
	send_ack(world, world->mesh_version);
	assert_int_equal(num_in_force, 1);
	assert_true(distributor_policy_marks(world->distributor) > marks);
	distributor_policies_changed(world->distributor, concerns, NULL);
	send_ack(world, world->mesh_version);
	assert_true(num_in_force == 1 && world->num_mesh == 1);
	concerns_web = true;
	distributor_policies_changed(world->distributor, concerns, NULL);
	num_in_force = 0;
	distributor_each_sidecar(world->distributor, count_in_force, NULL);
	assert_int_equal(num_in_force, 0);
	test_stream_run(world, NULL, &world->num_mesh, 2);
	send_ack(world, world->mesh_version);
	assert_int_equal(num_in_force, 1);
}

static unsigned num_interests;
static int64_t subscribed_s; /* not before */

static void add_interest(void *arg, const struct distributor_interest *interest)
{
	struct test_stream *world = arg;
	char text[ADDR_TEXT_MAX];
	const struct clock *clock = loop_clock(world->loop);
	assert_string_equal(interest->id->text, "spiffe://cluster.local/web");
	assert_true(strncmp(addr_format(interest->destination, text), "192.0.2.", 8) == 0);
	assert_true(interest->since_s >= subscribed_s && interest->since_s <= clock->wall_ms(clock) / 1000);
	num_interests++;
}

static void who_asks_for_what_is_known_up_to_a_bound(void **state)
{
	struct test_stream *world = *state;
	num_interests = 0;
	subscribed_s = loop_clock(world->loop)->wall_ms(loop_clock(world->loop)) / 1000;
	test_stream_hello(world, 1);
	test_stream_subscribe(world, "192.0.2.7:80");
	test_stream_subscribe(world, "192.0.2.8:80");
	test_stream_subscribe(world, "192.0.2.8:81");
	test_stream_run(world, NULL, &world->num_answers, 3);
	assert_int_equal(distributor_each_interest(world->distributor, 10, add_interest, world), 3);
	assert_int_equal(num_interests, 3);
	assert_int_equal(distributor_each_interest(world->distributor, 2, add_interest, world), 3);
	assert_int_equal(num_interests, 5);
}

static void a_stream_begins_with_hello(void **state)
{
	struct test_stream *world = *state;
	test_stream_subscribe(world, "192.0.2.7:80");
	test_stream_run(world, &world->is_done, NULL, 0);
	assert_int_equal(world->status, RPC_INVALID_ARGUMENT);
	assert_non_null(strstr(world->message, "hello"));
}

static void an_unknown_version_is_refused_with_its_reason(void **state)
{
	struct test_stream *world = *state;
	test_stream_hello(world, 9);
	test_stream_run(world, &world->is_done, NULL, 0);
	assert_int_equal(world->status, RPC_INVALID_ARGUMENT);
	assert_non_null(strstr(world->message, "version 9"));
}

static void c4_bytes_that_are_not_a_message_end_the_stream(void **state)
{
	struct test_stream *world = *state;
	assert_int_equal(rpc_call_send(world->call, SPAN_LITERAL("\xff\xff\xff")), ERR_NONE);
	test_stream_run(world, &world->is_done, NULL, 0);
	assert_int_equal(world->status, RPC_INVALID_ARGUMENT);
}

static uint32_t source_zone(void *arg, const struct ip_addr *ip)
{
	return ip->bytes[3] == 7 ? *(const uint32_t *)arg : 0;
}

/* A source that is only about zones. */
static bool source_resolve(void *arg, const struct addr *destination, struct resolution *out)
{
	(void)arg, (void)destination, (void)out;
	return false;
}

struct waited {
	struct loop_timer timer;
	bool is_over;
};

static void on_waited(struct loop_timer *timer)
{
	container_of(timer, struct waited, timer)->is_over = true;
}

static void a_sidecar_learns_its_zone_when_it_becomes_known_and_only_once(void **state)
{
	struct test_stream *world = *state;
	uint32_t zone = 0;
	const struct registry_source source = {.resolve = source_resolve, .zone = source_zone, .arg = &zone};
	registry_set_source(world->registry, &source);
	rpc_client_free(world->client);
	world->from = (struct ip_addr){.family = AF_INET, .bytes = {192, 0, 2, 7}};
	test_stream_connect(world);
	test_stream_hello(world, 1);
	test_stream_run(world, NULL, &world->num_mesh, 1);
	assert_int_equal(world->zone, 0);
	zone = 5;
	registry_source_changed(world->registry, &(struct ip_addr){.family = AF_INET, .bytes = {192, 0, 2, 1}});
	test_stream_run(world, NULL, &world->num_mesh, 2);
	assert_int_equal(world->zone, 5);
	zone = 6;
	registry_source_changed(world->registry, &(struct ip_addr){.family = AF_INET, .bytes = {192, 0, 2, 1}});
	struct waited waited = {.is_over = false};
	loop_timer_start(world->loop, &waited.timer, 1500, on_waited); /* a change settles within a second */
	test_stream_run(world, &waited.is_over, NULL, 0);
	assert_int_equal(world->num_mesh, 2);
	registry_set_source(world->registry, &(struct registry_source){0});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STREAM_TEST(a_sidecar_learns_its_zone_when_it_becomes_known_and_only_once),
		STREAM_TEST(the_mesh_comes_first_and_again_when_the_settings_change),
		STREAM_TEST(K14_a_policy_waits_for_its_source_and_goes_to_those_that_it_concerns),
		STREAM_TEST(who_asks_for_what_is_known_up_to_a_bound),
		STREAM_TEST(a_stream_begins_with_hello),
		STREAM_TEST(an_unknown_version_is_refused_with_its_reason),
		STREAM_TEST(c4_bytes_that_are_not_a_message_end_the_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
