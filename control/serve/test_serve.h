/* For tests: the streams port over real TLS, with the real signer and the real store, and one client of it. */
#pragma once

#include "base/core/loop.h"
#include "base/rpc/rpc_client.h"
#include "base/tls/tls_session.h"
#include "control/report/control_metrics.h"
#include "control/serve/serve.h"

#define TEST_ID "spiffe://td/ns/a"

struct world {
	char folder[64], keys[80], database[80], socket[80];
	struct loop *loop;
	struct issuer *issuer;
	struct store *store;
	struct metrics *metrics;
	struct control_config *config;
	struct attest *attest;
	struct registry *registry;
	struct distributor *distributor;
	struct rotation *rotation;
	struct bootstrap *bootstrap;
	struct trust *trust;
	struct server_identity *identity;
	struct serve *serve;
	struct trust_domain domain;
	struct addr at;
	struct buf root, token_id, secret;
	struct private_key *attestation_key, *leaf_key;
	/* the client */
	struct tls_context *tls;
	struct tls_scratch *scratch;
	struct svid *svid; /* presented, once there is one */
	struct rpc_client *client;
	bool is_connected, is_closed, is_over, is_ready;
	bool is_renewing, is_renewed; /* during world_renew() */
	enum rpc_status status;
	struct buf answer;
	unsigned num_messages;
	bool proves_claims;           /* from its hello */
	bool opens_streams_here;      /* the same: on the connection of its attestation */
	bool streams_here;            /* from the answer that world_keep_svid() read */
	const char *kubernetes_token; /* what it attests and renews with; NULL: a join token, then its key */
	uint32_t max_connections;
	struct ip_addr source; /* where it connects from; zeroed: any */
	bool has_lost_others;  /* the control plane is the replica "a": the pods of other replicas are gone */
};

/* Fixtures for cmocka: *state is the world. */
int world_set_up(void **state);
int world_set_up_for(void **state, uint32_t max_connections);
int world_tear_down(void **state);
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

void world_run(struct world *world, unsigned rounds);
void world_wait_until(struct world *world, const bool *flag);
void world_make_token(struct world *world); /* a new join token for TEST_ID */
