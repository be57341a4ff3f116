/* The registration against an API server in this process: its watch, and the patches that follow. */
#include "base/core/mem.h"
#include "base/kube/test_server.h"
#include "control/kube/registration.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define COLLECTION "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"

struct world {
	struct test_server server;
	struct kube_client *client;
	struct webhook_identity *identity;
	struct registration *registration;
	struct test_request *watch;
	size_t num_seen;    /* requests of the server */
	char bundle[16384]; /* of the last patch */
};

static void on_change(void *arg)
{
	struct world *world = arg;
	registration_authorities_changed(world->registration);
}

static struct test_request *await(struct world *world)
{
	return test_server_await(&world->server, ++world->num_seen);
}

/* An event of the watch about the object, with this caBundle. */
static void report(struct world *world, const char *type, unsigned version, const char *bundle)
{
	static char line[20000];
	snprintf(line, sizeof(line),
		"{\"type\":\"%s\",\"object\":{\"kind\":\"MutatingWebhookConfiguration\",\"metadata\":{\"name\":"
		"\"handfast\",\"resourceVersion\":\"%u\"},\"webhooks\":[{\"name\":\"inject.handfast.dev\","
		"\"clientConfig\":{\"caBundle\":\"%s\"}}]}}\n",
		type, version, bundle);
	test_send_text(world->watch, line);
}

static void end_of_state(struct world *world, unsigned version)
{
	char line[512];
	snprintf(line, sizeof(line),
		"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"%u\",\"annotations\":"
		"{\"k8s.io/initial-events-end\":\"true\"}}}}\n",
		version);
	test_send_text(world->watch, line);
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	test_server_init(&world->server);
	world->client = kube_client_new(world->server.loop, &world->server.config);
	world->identity =
		webhook_identity_new(world->server.loop, "handfast-webhook.handfast-system.svc", on_change, world);
	world->registration = registration_new(&(struct registration_options){
		.loop = world->server.loop, .client = world->client, .identity = world->identity});
	world->watch = await(world);
	test_answer_begin(world->watch, "200", NULL, NULL);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	registration_free(world->registration);
	kube_client_free(world->client);
	webhook_identity_free(world->identity);
	test_server_done(&world->server);
	mem_free(world);
	return 0;
}

/* The next request is a patch of version `version`; remembers its bundle. */
static struct test_request *next_patch(struct world *world, const char *version)
{
	struct test_request *patch = await(world);
	char expected[128];
	assert_string_equal(patch->method, "PATCH");
	assert_string_equal(patch->path, COLLECTION "/handfast");
	assert_string_equal(patch->content_type, "application/json-patch+json");
	snprintf(expected, sizeof(expected),
		"{\"op\":\"test\",\"path\":\"/metadata/resourceVersion\",\"value\":\"%s\"}", version);
	assert_non_null(strstr(buf_cstr(&patch->stream.received), expected));
	json_t *root = json_loads(buf_cstr(&patch->stream.received), 0, NULL);
	const json_t *add = json_array_get(root, 1);
	assert_string_equal(json_string_value(json_object_get(add, "path")), "/webhooks/0/clientConfig/caBundle");
	snprintf(world->bundle, sizeof(world->bundle), "%s", json_string_value(json_object_get(add, "value")));
	json_decref(root);
	return patch;
}

static void answer_patch(struct world *world, const char *version, const char *status)
{
	test_answer(next_patch(world, version), status, "{}");
}

static void answer_any_patch(struct world *world)
{
	struct test_request *patch = await(world);
	assert_string_equal(patch->method, "PATCH");
	test_answer(patch, "409", "{}");
}

static void register_it(struct world *world)
{
	report(world, "ADDED", 5, "");
	end_of_state(world, 5);
	answer_patch(world, "5", "200");
	report(world, "MODIFIED", 6, world->bundle);
	assert_true(test_server_run(&world->server, registration_is_done(world->registration)));
}

static void the_watch_selects_the_one_object(void **state)
{
	struct world *world = *state;
	assert_non_null(strstr(world->watch->path, COLLECTION "?"));
	assert_non_null(strstr(world->watch->path, "fieldSelector=metadata.name%3Dhandfast"));
	assert_false(registration_is_done(world->registration));
}

static void an_empty_bundle_is_patched_and_a_wiped_one_repaired(void **state)
{
	struct world *world = *state;
	register_it(world);
	report(world, "MODIFIED", 7, "");
	test_server_pass(&world->server, 300);
	answer_patch(world, "7", "200");
	assert_false(registration_is_done(world->registration));
	report(world, "MODIFIED", 8, world->bundle);
	assert_true(test_server_run(&world->server, registration_is_done(world->registration)));
	assert_int_equal(world->server.num_requests, world->num_seen);
}

static void a_patch_that_came_too_late_is_made_again(void **state)
{
	struct world *world = *state;
	report(world, "ADDED", 5, "");
	end_of_state(world, 5);
	answer_patch(world, "5", "422"); /* another replica was first */
	report(world, "MODIFIED", 6, "");
	test_server_pass(&world->server, 300);
	answer_patch(world, "6", "200");
}

/* Someone takes the authority away whenever it is there: the pause doubles up to 8 s. */
static void K24_replicas_that_undo_each_other_do_not_storm_the_api_server(void **state)
{
	struct world *world = *state;
	static const unsigned pauses[] = {500, 1000, 2000, 4000, 8000, 8000};
	unsigned version = 5;
	report(world, "ADDED", version, "");
	end_of_state(world, version);
	answer_any_patch(world);
	test_server_pass(&world->server, 250);
	answer_any_patch(world);
	for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		report(world, "MODIFIED", ++version, "");
		test_server_pass(&world->server, pauses[i] / 2); /* what is left of the last step counts too */
		assert_int_equal(world->server.num_requests, world->num_seen);
		test_server_pass(&world->server, pauses[i] / 2 + 200);
		answer_any_patch(world);
	}
}

/* The answer to a patch, and then the watch with what another replica had written before it. */
static void K24_an_older_object_does_not_take_the_place_of_a_newer_one(void **state)
{
	struct world *world = *state;
	static char newer[20000];
	report(world, "ADDED", 99, "");
	end_of_state(world, 99);
	struct test_request *patch = next_patch(world, "99");
	snprintf(newer, sizeof(newer),
		"{\"metadata\":{\"name\":\"handfast\",\"resourceVersion\":\"101\"},\"webhooks\":[{\"clientConfig\":"
		"{\"caBundle\":\"%s\"}}]}",
		world->bundle);
	test_answer(patch, "200", newer);
	assert_true(test_server_run(&world->server, registration_is_done(world->registration)));
	report(world, "MODIFIED", 100, "");
	test_server_pass(&world->server, 1000);
	assert_true(registration_is_done(world->registration));
	assert_int_equal(world->server.num_requests, world->num_seen);
	report(world, "MODIFIED", 102, "");
	answer_patch(world, "102", "200");
}

/* The answer to a patch of an object that is gone since must not bring it back. */
static void K24_an_answer_after_the_objects_end_does_not_revive_it(void **state)
{
	struct world *world = *state;
	report(world, "ADDED", 5, "");
	end_of_state(world, 5);
	struct test_request *patch = next_patch(world, "5");
	report(world, "DELETED", 6, "");
	test_server_settle(&world->server);
	assert_true(test_server_run(&world->server, registration_detail(world->registration)->err == ERR_NOT_FOUND));
	(void)patch;
	test_server_pass(&world->server, 10000);
	assert_int_equal(world->server.num_requests, world->num_seen);
	assert_false(registration_is_done(world->registration));
}

static void a_refusal_has_its_reason_and_is_tried_again(void **state)
{
	struct world *world = *state;
	report(world, "ADDED", 5, "");
	end_of_state(world, 5);
	answer_patch(world, "5", "403");
	assert_true(test_server_run(&world->server, registration_detail(world->registration)->err == ERR_DENIED));
	test_server_pass(&world->server, 5100);
	answer_patch(world, "5", "200");
}

static void a_missing_object_is_reported(void **state)
{
	struct world *world = *state;
	register_it(world);
	report(world, "DELETED", 9, "");
	assert_true(test_server_run(&world->server, !registration_is_done(world->registration)));
	assert_int_equal(registration_detail(world->registration)->err, ERR_NOT_FOUND);
	report(world, "ADDED", 10, "");
	test_server_pass(&world->server, 300);
	answer_patch(world, "10", "200");
}

static void an_object_with_two_webhooks_is_patched_in_both(void **state)
{
	(void)state;
	struct span own = SPAN_LITERAL("no certificate, but bytes");
	json_t *configuration =
		json_loads("{\"metadata\":{\"resourceVersion\":\"1\"},\"webhooks\":[{\"clientConfig\":{}},"
			   "{\"name\":\"none\"},{\"clientConfig\":{\"caBundle\":\"\"}}]}",
			0, NULL);
	json_t *patch = registration_patch(configuration, &own, 1, 0);
	assert_int_equal(json_array_size(patch), 3);
	assert_string_equal(json_string_value(json_object_get(json_array_get(patch, 1), "path")),
		"/webhooks/0/clientConfig/caBundle");
	assert_string_equal(json_string_value(json_object_get(json_array_get(patch, 2), "path")),
		"/webhooks/2/clientConfig/caBundle");
	json_decref(patch);
	json_decref(configuration);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_watch_selects_the_one_object, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_empty_bundle_is_patched_and_a_wiped_one_repaired, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_patch_that_came_too_late_is_made_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			K24_replicas_that_undo_each_other_do_not_storm_the_api_server, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			K24_an_older_object_does_not_take_the_place_of_a_newer_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			K24_an_answer_after_the_objects_end_does_not_revive_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_refusal_has_its_reason_and_is_tried_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_missing_object_is_reported, set_up, tear_down),
		cmocka_unit_test(an_object_with_two_webhooks_is_patched_in_both),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
