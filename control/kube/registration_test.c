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

/* The next request is a patch of version `version`; remembers its bundle and answers with `status`. */
static void answer_patch(struct world *world, const char *version, const char *status)
{
	struct test_request *patch = await(world);
	char expected[128];
	assert_string_equal(patch->method, "PATCH");
	assert_string_equal(patch->path, COLLECTION "/handfast");
	assert_string_equal(patch->content_type, "application/json-patch+json");
	snprintf(expected, sizeof(expected),
		"{\"op\":\"test\",\"path\":\"/metadata/resourceVersion\",\"value\":\"%s\"}", version);
	assert_non_null(strstr(buf_cstr(&patch->body), expected));
	json_t *root = json_loads(buf_cstr(&patch->body), 0, NULL);
	const json_t *add = json_array_get(root, 1);
	assert_string_equal(json_string_value(json_object_get(add, "path")), "/webhooks/0/clientConfig/caBundle");
	snprintf(world->bundle, sizeof(world->bundle), "%s", json_string_value(json_object_get(add, "value")));
	json_decref(root);
	test_answer(patch, status, "{}");
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
		cmocka_unit_test_setup_teardown(a_refusal_has_its_reason_and_is_tried_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_missing_object_is_reported, set_up, tear_down),
		cmocka_unit_test(an_object_with_two_webhooks_is_patched_in_both),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
