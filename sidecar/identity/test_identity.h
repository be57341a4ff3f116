/* For tests: an identity client without a connection, with a state folder and a mesh that issues for it. */
#pragma once

#include "certs/test_mesh.h"
#include "sidecar/identity/identity_client_private.h"

#define DOMAIN "cluster.local"
#define OWN    "spiffe://cluster.local/ns/shop/sa/cart"

struct world {
	struct clock_fake clock; /* begins at TEST_NOW_S */
	struct loop *loop;
	char folder[32];
	struct identity_client client;
	struct test_mesh *mesh;   /* of DOMAIN */
	struct credentials *last; /* borrowed from the client */
	unsigned num_published, num_withdrawn, num_outages;
};

/* A process of the sidecar, with the folder of the one before. */
void world_begin(struct world *world, const char *domain, bool keeps_svid);
void world_end(struct world *world);
int world_setup(void **state); /* begun, for DOMAIN, with an empty folder */
int world_teardown(void **state);
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

bool world_bans(const struct world *world, const char *id); /* the credentials in use */
