/* For tests: ten thousand sidecars that subscribe the same services, over socket pairs, in one process with the control
 * plane's registry and distributor. */
#pragma once

#include "base/rpc/rpc_client.h"
#include "base/rpc/rpc_server.h"
#include "control/distribute/distribute.h"

enum {
	SIDECARS = 10000,
	SERVICES = 5,
	ENDPOINTS = 20, /* of each service: the first sidecars */
	STREAMS_PER_CONNECTION = 250,
	CONNECTIONS = SIDECARS / STREAMS_PER_CONNECTION,
};

struct sidecar {
	struct world *world;
	struct rpc_call *call;
	struct spiffe_id id;
	struct ip_addr ip;
	uint8_t key_hash[DIGEST_LEN];
};

struct world {
	struct loop *loop;
	struct store *store;
	struct control_config *config;
	struct registry *registry;
	struct distributor *distributor;
	struct rpc_server *server;
	struct rpc_client *clients[CONNECTIONS];
	struct sidecar sidecars[SIDECARS];
	unsigned num_ready, num_mesh, num_answers, num_claimed;
	char folder[32], path[64];
};

/* Fixtures for a group of cmocka: *state is the world, in which all sidecars have their answers. */
int world_set_up(void **state);
int world_tear_down(void **state);

/* Work that does not depend on the load of the machine. */
struct counted {
	uint64_t resolved, encoded, sent, slices;
};

struct counted world_count(const struct world *world);
struct counted world_since(const struct world *world, struct counted before);

void world_run_until(struct world *world, const unsigned *counter, unsigned wanted);
/* Until everything sent has arrived, and nothing is sent for longer than changes are coalesced. */
void world_settle(struct world *world);
void world_on_claimed(void *arg, enum err err, const struct why *why); /* counts num_claimed */

void sidecar_come(struct world *world, unsigned number); /* claims its address, and subscribes the services */
void sidecar_go(struct world *world, unsigned number);
/* Destinations 2001:db8:KIND::N, from 1 on. */
void sidecar_subscribe(struct sidecar *sidecar, uint8_t kind, unsigned num);
