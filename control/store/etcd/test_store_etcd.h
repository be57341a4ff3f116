/* For tests of the engine: a store on an etcd in memory, and its changes. */
#pragma once

#include "control/store/etcd/store_etcd.h"
#include "control/store/etcd/test_etcd.h"

struct world {
	struct clock_fake clock;
	struct loop *loop;
	struct etcd_members members;
	struct store *store;
	struct store_watch watch;
	unsigned num_changes, num_answers;
	enum err last;
	uint64_t version;
};

void world_pass(struct world *world, unsigned ms);
enum err world_open_store(struct world *world, bool takes_any, struct why *why);
int world_set_up(void **state);
int world_tear_down(void **state);
struct world *world_opened(void **state);
void world_swap(struct world *world, const char *key, uint64_t expected, const char *value);
/* Its answer, within this time. */
enum err world_swapped(struct world *world, const char *key, uint64_t expected, const char *value, unsigned ms);
bool world_has(struct world *world, const char *key, const char *value);
uint64_t world_version_of(struct world *world, const char *key);

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
