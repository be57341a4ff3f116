/* The feed with watches that the test drives (link-time doubles of base/kube). */
#include "base/core/clock.h"
#include "base/core/mem.h"
#include "base/kube/kube_watch.h"
#include "control/kube/feed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

struct kube_watch {
	char path[64];
	struct kube_watch_observer observer;
	bool is_open;
};
static struct kube_watch watches[NUM_KUBE_KINDS]; /* in the order of their start, which is that of the kinds */
static unsigned num_watches;

struct kube_watch *kube_watch_start(_unused_ struct kube_client *client, const struct kube_watch_options *options,
	const struct kube_watch_observer *observer)
{
	struct kube_watch *watch = &watches[num_watches++];
	snprintf(watch->path, sizeof(watch->path), "%s", options->path);
	watch->observer = *observer;
	watch->is_open = true;
	return watch;
}

void kube_watch_stop(struct kube_watch *watch)
{
	watch->is_open = false;
}

struct world {
	struct clock_fake clock;
	struct loop *loop;
	struct kube_view *view;
	struct kube_feed *feed;
	unsigned num_changes, num_conditions;
	char name[64];
	struct why detail;
};

static void on_change(void *arg, _unused_ const struct ip_addr *ip)
{
	((struct world *)arg)->num_changes++;
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	const struct trust_domain domain = {"cluster.local"};
	clock_fake_init(&world->clock, 1790000000000);
	world->loop = loop_new(&world->clock.clock);
	world->view = kube_view_new(&domain, &(struct kube_view_observer){on_change, world});
	num_watches = 0;
	world->feed = kube_feed_start(world->loop, NULL, world->view);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	kube_feed_stop(world->feed);
	for (unsigned i = 0; i < NUM_KUBE_KINDS; i++)
		assert_false(watches[i].is_open);
	kube_view_free(world->view);
	loop_free(world->loop);
	mem_free(world);
	return 0;
}

static void pass(struct world *world, uint64_t ms)
{
	clock_fake_advance(&world->clock, ms);
	loop_run_once(world->loop, false);
	loop_run_once(world->loop, false);
}

static void sync_all(void)
{
	for (unsigned i = 0; i < NUM_KUBE_KINDS; i++) {
		watches[i].observer.on_begin(watches[i].observer.arg);
		watches[i].observer.on_synced(watches[i].observer.arg);
	}
}

static void put(enum kube_kind kind, enum kube_event event, json_t *object)
{
	watches[kind].observer.on_object(watches[kind].observer.arg, event, object);
	json_decref(object);
}

static void trouble(enum kube_kind kind, const struct why *why)
{
	watches[kind].observer.on_trouble(watches[kind].observer.arg, why);
}

static void on_condition(void *arg, const char *name, const struct why *why)
{
	struct world *world = arg;
	world->num_conditions++;
	snprintf(world->name, sizeof(world->name), "%s", name);
	world->detail = *why;
}

static unsigned conditions(struct world *world)
{
	world->num_conditions = 0;
	kube_feed_each_condition(world->feed, on_condition, world);
	return world->num_conditions;
}

static json_t *plain_pod(void)
{
	return json_pack("{s{ssssss}s{}s{s[{ss}]}}", "metadata", "name", "old", "namespace", "shop", "uid", "old",
		"spec", "status", "podIPs", "ip", "192.0.2.1");
}

static enum resolution_kind resolve(struct world *world, const char *destination)
{
	struct addr addr;
	struct resolution answer = {.kind = RESOLVED_UNKNOWN};
	assert_int_equal(addr_parse(span_of_str(destination), &addr), ERR_NONE);
	(void)kube_view_resolve(world->view, &addr, &answer);
	return answer.kind;
}

static void four_watches_fill_the_view(void **state)
{
	struct world *world = *state;
	assert_int_equal(num_watches, NUM_KUBE_KINDS);
	assert_string_equal(watches[KUBE_PODS].path, "/api/v1/pods");
	assert_string_equal(watches[KUBE_SLICES].path, "/apis/discovery.k8s.io/v1/endpointslices");
	assert_false(kube_feed_has_synced(world->feed));
	put(KUBE_PODS, KUBE_PUT, plain_pod());
	assert_int_equal(resolve(world, "192.0.2.1:80"), RESOLVED_UNKNOWN);
	watches[KUBE_PODS].observer.on_synced(watches[KUBE_PODS].observer.arg);
	watches[KUBE_SERVICES].observer.on_synced(watches[KUBE_SERVICES].observer.arg);
	watches[KUBE_SLICES].observer.on_synced(watches[KUBE_SLICES].observer.arg);
	assert_int_equal(resolve(world, "192.0.2.1:80"), RESOLVED_PLAIN);
	assert_false(kube_feed_has_synced(world->feed));
	watches[KUBE_NAMESPACES].observer.on_synced(watches[KUBE_NAMESPACES].observer.arg);
	assert_true(kube_feed_has_synced(world->feed));
	put(KUBE_PODS, KUBE_DELETED, plain_pod());
	assert_int_equal(resolve(world, "192.0.2.1:80"), RESOLVED_UNKNOWN);
	assert_int_equal(conditions(world), 0);
}

static void the_last_known_state_goes_on_while_a_watch_is_in_trouble(void **state)
{
	struct world *world = *state;
	struct why why = {0};
	sync_all();
	put(KUBE_PODS, KUBE_PUT, plain_pod());
	(void)why_set(&why, ERR_UNAVAILABLE, "an API server", "check it", "the API server is away");
	trouble(KUBE_PODS, &why);
	trouble(KUBE_NAMESPACES, &why);
	assert_int_equal(conditions(world), 1); /* the same for both */
	assert_string_equal(world->name, "kube_watch");
	assert_string_equal(world->detail.got, "the API server is away");
	assert_int_equal(resolve(world, "192.0.2.1:80"), RESOLVED_PLAIN);
	world->num_changes = 0;
	trouble(KUBE_PODS, NULL);
	assert_int_equal(world->num_changes, 1);
	assert_int_equal(conditions(world), 1);
	(void)why_set(&why, ERR_DENIED, "a permission", "grant it", "it may not watch pods");
	trouble(KUBE_PODS, &why);
	assert_int_equal(conditions(world), 2);
	trouble(KUBE_PODS, NULL);
	trouble(KUBE_NAMESPACES, NULL);
	assert_int_equal(conditions(world), 0);
}

static void an_object_that_cannot_be_used_is_a_condition_for_an_hour(void **state)
{
	struct world *world = *state;
	sync_all();
	put(KUBE_SERVICES, KUBE_PUT, json_object());
	assert_int_equal(conditions(world), 1);
	assert_string_equal(world->name, "kube_objects");
	pass(world, 3600000);
	assert_int_equal(conditions(world), 0);
}

static void pods_without_a_sidecar_in_an_injected_namespace_are_a_condition(void **state)
{
	struct world *world = *state;
	sync_all();
	put(KUBE_PODS, KUBE_PUT, plain_pod());
	put(KUBE_NAMESPACES, KUBE_PUT,
		json_pack("{s{sssss{ss}}}", "metadata", "name", "shop", "uid", "shop", "labels", "handfast.dev/inject",
			"enabled"));
	pass(world, 10000);
	assert_int_equal(conditions(world), 1);
	assert_string_equal(world->name, "kube_pods_without_sidecar");
	assert_string_equal(world->detail.got, "pods without a sidecar: 1, such as shop/old");
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* Before a sidecar gives up a connection that it holds (timeouts.resolve: 5 s). */
static void K34_an_address_that_pods_may_have_is_held_for_less_than_five_seconds(void **state)
{
	struct world *world = *state;
	struct addr addr;
	struct resolution answer = {.kind = RESOLVED_UNKNOWN};
	sync_all();
	put(KUBE_PODS, KUBE_PUT,
		json_pack("{s{ssssss}s{}s{sss[{ss}]}}", "metadata", "name", "old", "namespace", "shop", "uid", "old",
			"spec", "status", "hostIP", "192.0.2.200", "podIPs", "ip", "192.0.2.1"));
	assert_int_equal(addr_parse(span_of_str("192.0.2.77:5432"), &addr), ERR_NONE);
	pass(world, 999);
	assert_true(kube_view_resolve(world->view, &addr, &answer));
	for (unsigned i = 0; i < 3; i++) {
		assert_true(kube_view_resolve(world->view, &addr, &answer));
		pass(world, 1000);
	}
	pass(world, 1000);
	assert_false(kube_view_resolve(world->view, &addr, &answer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(four_watches_fill_the_view),
		WORLD_TEST(the_last_known_state_goes_on_while_a_watch_is_in_trouble),
		WORLD_TEST(an_object_that_cannot_be_used_is_a_condition_for_an_hour),
		WORLD_TEST(pods_without_a_sidecar_in_an_injected_namespace_are_a_condition),
		WORLD_TEST(K34_an_address_that_pods_may_have_is_held_for_less_than_five_seconds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
