#include "control/registry/leaf_owners.h"

#include "base/core/mem.h"
#include "base/core/test_wait.h"
#include "control/registry/svid_holders.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct world {
	struct loop *loop;
	struct store *store;
	struct leaf_owners *owners;
	struct svid_holder svid_holder;
	char folder[32], path[64];
};

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	world->loop = loop_new(&clock_system);
	snprintf(world->folder, sizeof(world->folder), "/tmp/owners.XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->path, sizeof(world->path), "%s/store", world->folder);
	assert_int_equal(store_open(world->loop, world->path, &world->store, NULL), ERR_NONE);
	world->owners = leaf_owners_new(world->store);
	assert_int_equal(
		spiffe_id_parse(SPAN_LITERAL("spiffe://cluster.local/web"), &world->svid_holder.id, NULL), ERR_NONE);
	world->svid_holder.key_hash[31] = 7;
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	char command[64];
	leaf_owners_free(world->owners);
	store_close(world->store);
	loop_run_once(world->loop, false);
	loop_free(world->loop);
	svid_holder_done(&world->svid_holder);
	snprintf(command, sizeof(command), "rm -r %s", world->folder);
	assert_int_equal(system(command), 0);
	mem_free(world);
	return 0;
}

static void on_put(void *arg, enum err err, uint64_t version)
{
	struct world *world = arg;
	assert_int_equal(err, ERR_NONE);
	world->svid_holder.version = version;
}

/* A new certificate for the key `leaf`, as after an attestation. */
static void obtain(struct world *world, uint8_t leaf, bool proves_claims)
{
	uint64_t before = world->svid_holder.version;
	memset(world->svid_holder.leaf_key_hash, leaf, DIGEST_LEN);
	world->svid_holder.serial_len = 16;
	world->svid_holder.proves_claims = proves_claims;
	assert_int_equal(svid_holders_put(world->store, &world->svid_holder, on_put, world), ERR_NONE);
	assert_true(WAIT_UNTIL(world->svid_holder.version != before, loop_run_once(world->loop, false)));
}

static bool find(const struct world *world, uint8_t leaf, struct leaf_owner *out)
{
	uint8_t hash[DIGEST_LEN];
	memset(hash, leaf, DIGEST_LEN);
	return leaf_owners_find(world->owners, hash, out);
}

static void finding_l10_a_certificate_maps_to_its_attestation(void **state)
{
	struct world *world = *state;
	struct leaf_owner owner;
	assert_false(find(world, 1, &owner));
	obtain(world, 1, false);
	assert_true(find(world, 1, &owner));
	assert_false(owner.proves_claims);
	assert_memory_equal(owner.key_hash, world->svid_holder.key_hash, DIGEST_LEN);
	/* The previous key stays known while its connection is open; older keys do not. */
	obtain(world, 2, true);
	assert_true(find(world, 1, &owner));
	assert_false(owner.proves_claims);
	assert_true(find(world, 2, &owner));
	assert_true(owner.proves_claims);
	obtain(world, 3, true);
	assert_false(find(world, 1, &owner));
	assert_true(find(world, 2, &owner) && find(world, 3, &owner));
}

static void finding_l10_certificates_from_before_a_restart_are_known(void **state)
{
	struct world *world = *state;
	struct leaf_owner owner;
	obtain(world, 1, true);
	leaf_owners_free(world->owners);
	world->owners = leaf_owners_new(world->store);
	assert_true(find(world, 1, &owner));
	assert_true(owner.proves_claims);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(finding_l10_a_certificate_maps_to_its_attestation),
		STORY(finding_l10_certificates_from_before_a_restart_are_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
