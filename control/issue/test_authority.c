#include "control/issue/test_authority.h"
#include "base/core/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

void world_open(struct world *world, enum key_policy policy)
{
	world->options.policy = policy;
	assert_int_equal(authority_open(&world->authority, &world->options, &world->detail), ERR_NONE);
}

enum err world_begin(struct world *world, uint64_t epoch)
{
	const struct store_mark mark = {.epoch = epoch, .incarnation = 77, .revision = epoch * 10};
	return authority_begin_epoch(&world->authority, &mark, &world->detail);
}

void world_restart(struct world *world)
{
	uint64_t epoch = world->authority.mark.epoch;
	authority_done(&world->authority);
	world_open(world, KEYS_MUST_EXIST);
	assert_int_equal(world_begin(world, epoch + 1), ERR_NONE);
}

int world_set_up(void **state)
{
	struct world *world = mem_new(struct world);
	(void)snprintf(world->parent, sizeof world->parent, "/tmp/authorityXXXXXX");
	assert_non_null(mkdtemp(world->parent));
	(void)snprintf(world->folder, sizeof world->folder, "%s/keys", world->parent);
	clock_fake_init(&world->clock, NOW_S * 1000LL);
	world->options = (struct authority_options){.folder = world->folder,
		.max_leaf_ttl_s = 7200,
		.intermediate_life_s = 7 * 86400,
		.root_life_s = 365 * 86400,
		.clock = &world->clock.clock};
	(void)snprintf(world->options.trust_domain.name, sizeof world->options.trust_domain.name, "td");
	world_open(world, KEYS_MAY_BE_MADE);
	assert_int_equal(world_begin(world, 1), ERR_NONE);
	world->key = private_key_generate();
	buf_init(&world->spki, 1024);
	buf_init(&world->leaf, 4096);
	assert_int_equal(private_key_public(world->key, &world->spki), ERR_NONE);
	*state = world;
	return 0;
}

int world_tear_down(void **state)
{
	struct world *world = *state;
	authority_done(&world->authority);
	private_key_unref(world->key);
	buf_done(&world->spki);
	buf_done(&world->leaf);
	_cleanup_(mem_freep) char *command = mem_printf("rm -rf %s", world->parent);
	assert_int_equal(system(command), 0);
	mem_free(world);
	return 0;
}
