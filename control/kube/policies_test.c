/* The policies with a watch, a distributor and an API server that the test drives (link-time doubles). */
#include "base/core/clock.h"
#include "base/core/mem.h"
#include "base/kube/kube_watch.h"
#include "control/kube/policies.h"
#include "control/kube/test_policy.h"
#include "control/kube/test_requests.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define STATUS_PATH "/apis/handfast.dev/v1alpha1/namespaces/shop/policies/cart/status"
#define ANSWER      "{}"

static struct kube_watch_observer observer;
static struct policy_source source;
static uint64_t marks;
static unsigned num_changes, num_concerned;
static bool has_confirmed;
static struct spiffe_id cart;

struct kube_watch *kube_watch_start(_unused_ struct kube_client *client, const struct kube_watch_options *options,
	const struct kube_watch_observer *given)
{
	assert_string_equal(options->path, "/apis/handfast.dev/v1alpha1/policies");
	observer = *given;
	return NULL;
}

void kube_watch_stop(_unused_ struct kube_watch *watch)
{
	observer = (struct kube_watch_observer){0};
}

void distributor_set_policies(_unused_ struct distributor *distributor, const struct policy_source *given)
{
	source = *given;
}

void distributor_policies_changed(
	_unused_ struct distributor *distributor, bool (*concerns)(void *arg, const struct spiffe_id *id), void *arg)
{
	num_changes++;
	marks++;
	num_concerned += concerns(arg, &cart);
}

void distributor_each_sidecar(_unused_ const struct distributor *distributor,
	void (*visit)(void *arg, const struct spiffe_id *id, bool is_in_force), void *arg)
{
	visit(arg, &cart, has_confirmed);
}

const struct control_config *distributor_config(const struct distributor *distributor)
{
	static const struct control_config config = {.trust_domain = {"cluster.local"}};
	(void)distributor;
	return &config;
}

uint64_t distributor_policy_marks(_unused_ const struct distributor *distributor)
{
	return marks;
}

struct world {
	struct clock_fake clock;
	struct loop *loop;
	struct kube_client *client;
	struct trust_domain domain;
	struct kube_policies *policies;
	char conditions[256];
};

static bool is_replica(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return false;
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	world->domain = (struct trust_domain){"cluster.local"};
	clock_fake_init(&world->clock, 1790000000000);
	world->loop = loop_new(&world->clock.clock);
	world->client = test_client_new();
	assert_int_equal(
		spiffe_id_parse(SPAN_LITERAL("spiffe://cluster.local/ns/shop/sa/cart"), &cart, NULL), ERR_NONE);
	num_changes = num_concerned = 0;
	has_confirmed = true;
	const struct kube_policies_options options = {.loop = world->loop,
		.client = world->client,
		.trust_domain = &world->domain,
		.replica = "a-1",
		.is_replica = is_replica};
	world->policies = kube_policies_start(&options);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	kube_policies_stop(world->policies);
	assert_false(source.is_known(source.arg)); /* and no sidecar gets a policy without them */
	test_client_free(world->client);
	loop_free(world->loop);
	spiffe_id_done(&cart);
	mem_free(world);
	return 0;
}

static void pass(struct world *world, uint64_t ms)
{
	for (uint64_t end = ms; end > 0; end -= end < 100 ? end : 100) {
		clock_fake_advance(&world->clock, end < 100 ? end : 100);
		loop_run_once(world->loop, false);
	}
}

static void event(enum kube_event kind, const struct test_policy *policy)
{
	json_t *object = test_policy_new(policy);
	observer.on_object(observer.arg, kind, object);
	json_decref(object);
}

static void sync_with(const struct test_policy *policy)
{
	observer.on_begin(observer.arg);
	if (policy != NULL)
		event(KUBE_PUT, policy);
	observer.on_synced(observer.arg);
}

static void on_condition(void *arg, const char *name, const struct why *why)
{
	struct world *world = arg;
	assert_true(why->expected[0] != '\0' && why->fix[0] != '\0');
	snprintf(world->conditions + strlen(world->conditions), sizeof(world->conditions) - strlen(world->conditions),
		"%s ", name);
}

static const char *conditions(struct world *world)
{
	world->conditions[0] = '\0';
	kube_policies_each_condition(world->policies, on_condition, world);
	return world->conditions;
}

static size_t num_found(void)
{
	struct policy_found found = {0};
	source.find(source.arg, &cart, &found);
	return found.num;
}

static void K14_nothing_is_known_until_the_first_state_has_come(void **state)
{
	struct world *world = *state;
	assert_false(source.is_known(source.arg) || kube_policies_are_known(world->policies));
	struct why why = {0};
	(void)why_set(&why, ERR_UNAVAILABLE, "an API server", "start it", "it is away");
	observer.on_trouble(observer.arg, &why);
	(void)why_set(&why, ERR_DENIED, "a permission", "install the role", "it is missing");
	observer.on_trouble(observer.arg, &why);
	observer.on_begin(observer.arg);
	event(KUBE_PUT, &(struct test_policy){.spec = "{'mode': 'strict'}"});
	pass(world, 1000);
	assert_false(source.is_known(source.arg));
	assert_int_equal(num_changes, 0);
	assert_string_equal(conditions(world), "kube_watch ");
	observer.on_synced(observer.arg);
	observer.on_trouble(observer.arg, NULL);
	pass(world, 100);
	assert_true(source.is_known(source.arg));
	assert_true(num_changes == 1 && num_concerned == 1 && num_found() == 1);
	assert_string_equal(conditions(world), "");
	pass(world, 1000);
	test_client_answer(world->client, STATUS_PATH, 200, ANSWER);
}

static void without_the_definition_there_are_none(void **state)
{
	struct world *world = *state;
	struct why why = {0};
	(void)why_set(&why, ERR_NOT_FOUND, "the definition", "install it", "it is missing");
	observer.on_trouble(observer.arg, &why);
	pass(world, 100);
	assert_true(source.is_known(source.arg) && num_found() == 0);
	assert_string_equal(conditions(world), "kube_watch ");
}

static void K14_what_was_known_outlives_a_definition_that_is_not_found(void **state)
{
	struct world *world = *state;
	struct why why = {0};
	sync_with(&(struct test_policy){.spec = "{'mode': 'strict'}"});
	(void)why_set(&why, ERR_NOT_FOUND, "the definition", "install it", "it is missing");
	observer.on_trouble(observer.arg, &why);
	pass(world, 10000);
	assert_int_equal(num_found(), 1);
	assert_int_equal(test_client_num_ever(world->client, STATUS_PATH), 0);
}

static void a_status_is_written_when_it_differs_and_at_most_every_5_s(void **state)
{
	struct world *world = *state;
	struct test_policy policy = {.spec = "{'mode': 'strict'}"};
	sync_with(&policy);
	pass(world, 1000);
	assert_int_equal(test_client_num(world->client, STATUS_PATH), 1);
	assert_string_equal(test_client_body(world->client, STATUS_PATH),
		"{\"status\":{\"observedGeneration\":1,\"accepted\":true,\"message\":\"accepted\",\"replicas\":"
		"{\"a-1\":{\"sidecars\":1,\"sidecarsInForce\":1}},\"sidecars\":1,\"sidecarsInForce\":1}}");
	test_client_answer(world->client, STATUS_PATH, 200, ANSWER);
	policy.status = "{'observedGeneration': 1, 'accepted': true, 'message': 'accepted', 'sidecars': 1,"
			"'sidecarsInForce': 1, 'replicas': {'a-1': {'sidecars': 1, 'sidecarsInForce': 1}}}";
	event(KUBE_PUT, &policy);
	pass(world, 20000);
	assert_int_equal(test_client_num_ever(world->client, STATUS_PATH), 1);
	for (unsigned i = 0; i < 10; i++) { /* a sidecar that comes and goes */
		has_confirmed = !has_confirmed;
		marks++;
		pass(world, 1000);
		if (test_client_num(world->client, STATUS_PATH) > 0)
			test_client_answer(world->client, STATUS_PATH, 200, ANSWER);
	}
	assert_in_range(test_client_num_ever(world->client, STATUS_PATH), 2, 4);
}

static void a_status_that_cannot_be_written_is_a_condition_and_tried_again(void **state)
{
	struct world *world = *state;
	sync_with(&(struct test_policy){.spec = "{'mode': 'strict'}"});
	pass(world, 1000);
	test_client_answer(world->client, STATUS_PATH, 403, ANSWER);
	assert_string_equal(conditions(world), "kube_policy_status ");
	pass(world, 15000);
	test_client_fail(world->client, STATUS_PATH, ERR_TIMEOUT);
	pass(world, 15000);
	test_client_answer(world->client, STATUS_PATH, 200, ANSWER);
	assert_string_equal(conditions(world), "");
}

static void a_policy_that_is_not_accepted_is_a_condition(void **state)
{
	struct world *world = *state;
	sync_with(&(struct test_policy){.spec = "{'mode': 'hard'}"});
	assert_string_equal(conditions(world), "kube_policies ");
	pass(world, 1000);
	assert_non_null(strstr(test_client_body(world->client, STATUS_PATH), "\"accepted\":false"));
	event(KUBE_DELETED, &(struct test_policy){.spec = "{}"}); /* while its status is being written */
	assert_int_equal(test_client_num(world->client, STATUS_PATH), 0);
	assert_string_equal(conditions(world), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(K14_nothing_is_known_until_the_first_state_has_come, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_the_definition_there_are_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			K14_what_was_known_outlives_a_definition_that_is_not_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_status_is_written_when_it_differs_and_at_most_every_5_s, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_status_that_cannot_be_written_is_a_condition_and_tried_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_policy_that_is_not_accepted_is_a_condition, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
