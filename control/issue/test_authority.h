/* For tests: the authorities of a new mesh "td" in a folder of their own, at a fixed time. */
#pragma once

#include "base/core/clock.h"
#include "certs/private_key.h"
#include "control/issue/authority.h"

#define NOW_S 1800000000 /* at the start */

struct world {
	char parent[64], folder[80];
	struct clock_fake clock;
	struct authority_options options;
	struct authority authority; /* open, and the issuer of epoch 1 is introduced */
	struct private_key *key;    /* of a workload */
	struct buf spki, leaf;
	struct why detail;
};

/* Fixtures for cmocka: *state is the world. */
int world_set_up(void **state);
int world_tear_down(void **state);
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

/* Opens the authorities; introduces an issuer of that epoch: the store's mark grows with each start. */
void world_open(struct world *world, enum key_policy policy);
enum err world_begin(struct world *world, uint64_t epoch) _must_use_;
/* As a restart of the signer and of its control plane. */
void world_restart(struct world *world);
