/* Services whose addresses a sidecar asks for by name. */
#include "base/core/test_wait.h"
#include "base/pb/unpack.h"
#include "control/distribute/test_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void hello_with_services(struct test_stream *world, const char *const *names, size_t num)
{
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__Hello hello = HANDFAST__V1__HELLO__INIT;
	ProtobufCBinaryData list[80];
	for (size_t i = 0; i < num; i++)
		list[i] = pb_bytes(span_of_str(names[i]));
	hello.protocol_version = 1;
	hello.services = list;
	hello.n_services = num;
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_HELLO;
	up.hello = &hello;
	test_stream_send(world, &up);
}

static void use_services(struct test_stream *world, const char *yaml)
{
	struct control_config *before = world->next_config;
	test_stream_services = yaml;
	world->next_config = test_stream_config("192.0.2.0/24");
	test_stream_services = "";
	registry_set_config(world->registry, world->next_config);
	distributor_set_config(world->distributor, world->next_config);
	if (before != NULL)
		control_config_free(before);
}

static void a_stream_gets_the_addresses_of_the_services_that_it_named(void **state)
{
	static const char *const names[] = {"db", "none", "web"};
	struct test_stream *world = *state;
	use_services(world,
		"services: [{name: web, address: 192.0.2.10, ports: [{port: 80}], identity: "
		"'spiffe://cluster.local/web'}, {name: db, address: 192.0.2.11, ports: [{port: 80}], identity: "
		"'spiffe://cluster.local/db'}]\n");
	hello_with_services(world, names, 3);
	test_stream_run(world, NULL, &world->num_mesh, 1);
	assert_string_equal(world->services, "db 192.0.2.11; web 192.0.2.10; ");
	use_services(world, "services: [{name: db, address: 192.0.2.12, ports: [{port: 80}], identity: "
			    "'spiffe://cluster.local/db'}]\n");
	test_stream_run(world, NULL, &world->num_mesh, 2);
	assert_string_equal(world->services, "db 192.0.2.12; ");
}

static char source_address;

static bool source_service_address(void *arg, const char *name, struct ip_addr *out)
{
	(void)arg;
	*out = (struct ip_addr){.family = AF_INET, .bytes = {192, 0, 2, (uint8_t)source_address}};
	return strcmp(name, "shop/db") == 0;
}

static bool knows_nothing(void *arg, const struct addr *destination, struct resolution *out)
{
	(void)arg;
	(void)destination;
	(void)out;
	return false;
}

static void a_service_that_moves_in_the_cluster_is_sent_again_and_only_then(void **state)
{
	static const char *const names[] = {"shop/db"};
	struct test_stream *world = *state;
	const struct registry_source source = {.resolve = knows_nothing, .service_address = source_service_address};
	source_address = 7;
	registry_set_source(world->registry, &source);
	hello_with_services(world, names, 1);
	test_stream_run(world, NULL, &world->num_mesh, 1);
	assert_string_equal(world->services, "shop/db 192.0.2.7; ");
	registry_source_changed(world->registry, NULL); /* something else did */
	uint64_t until_ms = loop_now_ms(world->loop) + 150;
	(void)WAIT_UNTIL(loop_now_ms(world->loop) >= until_ms, loop_run_once(world->loop, false));
	assert_int_equal(world->num_mesh, 1);
	source_address = 8;
	registry_source_changed(world->registry, NULL);
	test_stream_run(world, NULL, &world->num_mesh, 2);
	assert_string_equal(world->services, "shop/db 192.0.2.8; ");
	registry_set_source(world->registry, &(struct registry_source){0});
}

static unsigned num_resolved, most_in_a_round;

static bool source_counts(void *arg, const char *name, struct ip_addr *out)
{
	(void)arg;
	num_resolved++;
	*out = (struct ip_addr){.family = AF_INET, .bytes = {192, 0, 2, (uint8_t)source_address}};
	return strncmp(name, "shop/", 5) == 0;
}

static void round_counted(struct test_stream *world)
{
	unsigned before = num_resolved;
	loop_run_once(world->loop, false);
	if (num_resolved - before > most_in_a_round)
		most_in_a_round = num_resolved - before;
}

static void use_counting_source(struct test_stream *world)
{
	const struct registry_source source = {.resolve = knows_nothing, .service_address = source_counts};
	source_address = 7;
	registry_set_source(world->registry, &source);
}

/* The names shop/FROM to shop/FROM+63. */
static void hello_with_64_from(struct test_stream *world, unsigned from)
{
	char texts[64][24];
	const char *names[64];
	for (unsigned i = 0; i < 64; i++) {
		snprintf(texts[i], sizeof(texts[i]), "shop/%u", from + i);
		names[i] = texts[i];
	}
	hello_with_services(world, names, 64);
}

static void names_of_services_count_as_subscriptions_do(void **state)
{
	struct test_stream *world = *state;
	hello_with_64_from(world, 0);
	test_stream_run(world, NULL, &world->num_mesh, 1);
	assert_int_equal(distributor_num_charged(world->distributor), 1 + 64);
	test_stream_subscribe(world, "192.0.2.1:80");
	test_stream_run(world, NULL, &world->num_answers, 1);
	assert_int_equal(distributor_num_charged(world->distributor), 1 + 64 + 1);
	rpc_call_cancel(world->call);
	assert_true(WAIT_UNTIL(distributor_num_charged(world->distributor) == 0, loop_run_once(world->loop, false)));
}

static void a_name_of_many_is_resolved_once_per_change(void **state)
{
	enum { STREAMS = 20 };
	struct test_stream *world = *state;
	use_counting_source(world);
	for (unsigned i = 0; i < STREAMS; i++) {
		if (i > 0)
			test_stream_call(world);
		hello_with_64_from(world, 0);
	}
	test_stream_run(world, NULL, &world->num_mesh, STREAMS);
	num_resolved = 0;
	source_address = 8;
	registry_source_changed(world->registry, NULL);
	test_stream_run(world, NULL, &world->num_mesh, 2 * STREAMS);
	assert_int_equal(num_resolved, 64);
	registry_set_source(world->registry, &(struct registry_source){0});
}

static void very_many_names_are_resolved_in_slices(void **state)
{
	enum { STREAMS = 20 };
	struct test_stream *world = *state;
	use_counting_source(world);
	for (unsigned i = 0; i < STREAMS; i++) {
		if (i > 0)
			test_stream_call(world);
		hello_with_64_from(world, 64 * i);
	}
	test_stream_run(world, NULL, &world->num_mesh, STREAMS);
	num_resolved = most_in_a_round = 0;
	registry_source_changed(world->registry, NULL);
	assert_true(WAIT_UNTIL(num_resolved >= 64 * STREAMS, round_counted(world)));
	assert_int_equal(num_resolved, 64 * STREAMS);
	assert_in_range(most_in_a_round, 1, 512);
	assert_int_equal(world->num_mesh, STREAMS); /* no address is another */
	registry_set_source(world->registry, &(struct registry_source){0});
}

/* With the name that the pass is at. */
static void streams_that_end_within_a_pass_leave_it(void **state)
{
	enum { STREAMS = 20 };
	struct test_stream *world = *state;
	struct rpc_call *calls[STREAMS];
	use_counting_source(world);
	for (unsigned i = 0; i < STREAMS; i++) {
		if (i > 0)
			test_stream_call(world);
		calls[i] = world->call;
		hello_with_64_from(world, 64 * i);
	}
	test_stream_run(world, NULL, &world->num_mesh, STREAMS);
	num_resolved = 0;
	source_address = 8;
	registry_source_changed(world->registry, NULL);
	assert_true(WAIT_UNTIL(num_resolved > 0, loop_run_once(world->loop, false)));
	for (unsigned i = 1; i < STREAMS; i++)
		rpc_call_cancel(calls[i]);
	assert_true(
		WAIT_UNTIL(distributor_num_charged(world->distributor) == 1 + 64, loop_run_once(world->loop, false)));
	test_stream_run(world, NULL, &world->num_mesh, STREAMS + 1);
	registry_set_source(world->registry, &(struct registry_source){0});
}

static void more_names_than_a_sidecar_has_listeners_are_refused(void **state)
{
	static const char *names[65];
	struct test_stream *world = *state;
	for (size_t i = 0; i < 65; i++)
		names[i] = "db";
	hello_with_services(world, names, 65);
	test_stream_run(world, &world->is_done, NULL, 0);
	assert_int_equal(world->status, RPC_INVALID_ARGUMENT);
	assert_non_null(strstr(world->message, "at most 64 services"));
}

static void a_name_without_bytes_is_refused(void **state)
{
	static const char *const names[] = {""};
	struct test_stream *world = *state;
	hello_with_services(world, names, 1);
	test_stream_run(world, &world->is_done, NULL, 0);
	assert_int_equal(world->status, RPC_INVALID_ARGUMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STREAM_TEST(a_stream_gets_the_addresses_of_the_services_that_it_named),
		STREAM_TEST(a_service_that_moves_in_the_cluster_is_sent_again_and_only_then),
		STREAM_TEST(names_of_services_count_as_subscriptions_do),
		STREAM_TEST(a_name_of_many_is_resolved_once_per_change),
		STREAM_TEST(very_many_names_are_resolved_in_slices),
		STREAM_TEST(streams_that_end_within_a_pass_leave_it),
		STREAM_TEST(more_names_than_a_sidecar_has_listeners_are_refused),
		STREAM_TEST(a_name_without_bytes_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
