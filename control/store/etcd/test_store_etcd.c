#include "control/store/etcd/test_store_etcd.h"
#include "base/core/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

void world_pass(struct world *world, unsigned ms)
{
	for (unsigned done = 0; done < ms; done += 10) {
		clock_fake_advance(&world->clock, 10);
		for (unsigned i = 0; i < 4; i++)
			loop_run_once(world->loop, false);
	}
}

static void on_change(struct store_watch *watch, const char *key, const struct store_value *value)
{
	(void)key;
	(void)value;
	container_of(watch, struct world, watch)->num_changes++;
}

enum err world_open_store(struct world *world, bool takes_any, struct why *why)
{
	const struct store_etcd_options options = {
		.loop = world->loop, .members = &world->members, .prefix = "/hf/", .takes_any = takes_any};
	enum err err = store_open_etcd(&options, &world->store, why);
	if (err == ERR_NONE)
		store_watch_start(world->store, &world->watch, "k", on_change);
	return err;
}

int world_set_up(void **state)
{
	struct world *world = mem_new(struct world);
	clock_fake_init(&world->clock, 1900000000000);
	world->loop = loop_new(&world->clock.clock);
	test_etcd_begin();
	*state = world;
	return 0;
}

int world_tear_down(void **state)
{
	struct world *world = *state;
	if (world->store != NULL) {
		store_watch_stop(&world->watch);
		store_close(world->store);
	}
	loop_run_once(world->loop, false);
	loop_free(world->loop);
	test_etcd_end();
	mem_free(world);
	return 0;
}

struct world *world_opened(void **state)
{
	struct world *world = *state;
	struct why why = {0};
	assert_int_equal(world_open_store(world, false, &why), ERR_NONE);
	return world;
}

static void on_done(void *arg, enum err err, uint64_t version)
{
	struct world *world = arg;
	world->num_answers++;
	world->last = err;
	world->version = version;
}

void world_swap(struct world *world, const char *key, uint64_t expected, const char *value)
{
	struct span bytes = value == NULL ? span_of(NULL, 0) : span_of_str(value);
	store_swap(world->store, key, expected, bytes, on_done, world);
}

/* Its answer, within this time. */
enum err world_swapped(struct world *world, const char *key, uint64_t expected, const char *value, unsigned ms)
{
	unsigned before = world->num_answers;
	world_swap(world, key, expected, value);
	assert_int_equal(world->num_answers, before);
	world_pass(world, ms);
	assert_int_equal(world->num_answers, before + 1);
	return world->last;
}

bool world_has(struct world *world, const char *key, const char *value)
{
	struct store_value found;
	return store_get(world->store, key, &found) && span_eq(found.bytes, span_of_str(value));
}

uint64_t world_version_of(struct world *world, const char *key)
{
	struct store_value found = {0};
	return store_get(world->store, key, &found) ? found.version : 0;
}
