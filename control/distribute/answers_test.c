/* When an answer is sent, and with which others. */
#include "control/distribute/test_stream.h"

#include "base/pb/unpack.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static const uint8_t no_key[DIGEST_LEN];

static void on_claimed(void *arg, enum err err, const struct why *why)
{
	(void)why;
	if (arg != NULL)
		*(bool *)arg = true;
	assert_int_equal(err, ERR_NONE);
}

static void an_answer_follows_its_destination(void **state)
{
	struct test_stream *world = *state;
	struct ip_addr ip;
	test_stream_hello(world, 1);
	test_stream_subscribe(world, "192.0.2.7:80");
	test_stream_run(world, NULL, &world->num_answers, 1);
	assert_int_equal(world->answer_kind, HANDFAST__V1__ANSWER__KIND_UNKNOWN);
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("192.0.2.7"), &ip), ERR_NONE);
	registry_claim(world->registry, &world->id, &ip, no_key, on_claimed, NULL);
	test_stream_run(world, NULL, &world->num_answers, 2);
	assert_int_equal(world->answer_kind, HANDFAST__V1__ANSWER__KIND_MESHED);
	assert_int_equal(world->num_endpoints, 1);
	/* A change that leaves the answer the same sends nothing. */
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("192.0.2.8"), &ip), ERR_NONE);
	bool is_claimed = false;
	registry_claim(world->registry, &world->id, &ip, no_key, on_claimed, &is_claimed);
	test_stream_run(world, &is_claimed, NULL, 0);
	for (int i = 0; i < 20; i++) /* what the change sends is in the socket pair by now */
		loop_run_once(world->loop, false);
	assert_int_equal(world->num_answers, 2);
	/* A repeated subscription is answered again. */
	test_stream_subscribe(world, "192.0.2.7:80");
	test_stream_run(world, NULL, &world->num_answers, 3);
}

static void claim(struct test_stream *world, const char *text)
{
	struct ip_addr ip;
	bool is_claimed = false;
	assert_int_equal(ip_addr_parse(span_of_str(text), &ip), ERR_NONE);
	registry_claim(world->registry, &world->id, &ip, no_key, on_claimed, &is_claimed);
	test_stream_run(world, &is_claimed, NULL, 0);
}

/* The sidecar had a connection before: what is still the same is not sent again, what is another answer is. */
static void an_answer_that_the_sidecar_has_is_not_sent_again(void **state)
{
	struct test_stream *world = *state;
	static const uint8_t wrong[16] = {1};
	uint8_t known[16];
	claim(world, "192.0.2.7");
	test_stream_hello(world, 1);
	test_stream_subscribe(world, "192.0.2.7:80");
	test_stream_run(world, NULL, &world->num_answers, 1);
	memcpy(known, world->digest, sizeof known);
	rpc_client_free(world->client);
	test_stream_connect(world);
	world->mesh_version = 0;
	test_stream_hello(world, 1);
	test_stream_subscribe_knowing(world, "192.0.2.7:80", known);
	test_stream_run(world, NULL, &world->num_mesh, 2);
	assert_int_equal(world->num_answers, 1);
	test_stream_subscribe_knowing(world, "192.0.2.8:80", wrong);
	test_stream_run(world, NULL, &world->num_answers, 2);
	assert_memory_not_equal(world->digest, known, sizeof known);
	/* Its changes are sent. */
	claim(world, "192.0.2.8");
	test_stream_run(world, NULL, &world->num_answers, 3);
}

static void answers_to_one_message_come_together(void **state)
{
	struct test_stream *world = *state;
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__Subscribe subscribe = HANDFAST__V1__SUBSCRIBE__INIT;
	Handfast__V1__SocketAddress addresses[50], *list[50];
	uint8_t ips[50][4];
	for (uint8_t i = 0; i < 50; i++) {
		handfast__v1__socket_address__init(&addresses[i]);
		memcpy(ips[i], (uint8_t[]){192, 0, 2, i}, 4);
		addresses[i].ip = pb_bytes(span_of(ips[i], 4));
		addresses[i].port = 80;
		list[i] = &addresses[i];
	}
	subscribe.destinations = list;
	subscribe.n_destinations = 50;
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_SUBSCRIBE;
	up.subscribe = &subscribe;
	test_stream_hello(world, 1);
	test_stream_send(world, &up);
	test_stream_run(world, NULL, &world->num_answers, 1);
	assert_int_equal(world->num_in_message, 50);
}

/* Of a source: claims are committed one after the other, by a thread, and may be further apart than is coalesced. */
static bool is_meshed(void *arg, const struct addr *destination, struct resolution *out)
{
	const struct test_stream *world = arg;
	out->kind = RESOLVED_MESHED;
	out->endpoints[0].address = *destination;
	out->endpoints[0].id = &world->id;
	out->num_endpoints = 1;
	return true;
}

static void answers_that_change_together_come_together(void **state)
{
	struct test_stream *world = *state;
	static const char *const texts[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"};
	enum { NUM = sizeof texts / sizeof texts[0] };
	unsigned num_before;
	test_stream_hello(world, 1);
	for (unsigned i = 0; i < NUM; i++) {
		char destination[24];
		snprintf(destination, sizeof destination, "%s:80", texts[i]);
		test_stream_subscribe(world, destination);
		test_stream_run(world, NULL, &world->num_answers, i + 1);
	}
	num_before = world->num_answers;
	registry_set_source(world->registry, &(struct registry_source){.resolve = is_meshed, .arg = world});
	/* Two messages: the last one to change is alone. */
	test_stream_run(world, NULL, &world->num_answers, num_before + 2);
	for (int i = 0; i < 20; i++)
		loop_run_once(world->loop, false);
	assert_int_equal(world->num_answers, num_before + 2);
	registry_set_source(world->registry, &(struct registry_source){0});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STREAM_TEST(an_answer_follows_its_destination),
		STREAM_TEST(an_answer_that_the_sidecar_has_is_not_sent_again),
		STREAM_TEST(answers_to_one_message_come_together),
		STREAM_TEST(answers_that_change_together_come_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
