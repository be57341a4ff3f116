/* For tests: the Discovery service as one sidecar uses it: a real gRPC connection over a socket pair, a real store. */
#pragma once

#include "base/rpc/rpc_client.h"
#include "base/rpc/rpc_server.h"
#include "control/distribute/distribute.h"
#include "proto/handfast/v1/discovery.pb-c.h"

struct test_stream {
	struct loop *loop;
	struct store *store;
	struct control_config *config, *next_config;
	struct registry *registry;
	struct distributor *distributor;
	struct rpc_server *server;
	struct rpc_client *client;
	struct rpc_call *call;
	struct spiffe_id id;
	struct ip_addr from; /* the sidecar's host */
	uint32_t zone;       /* of the last mesh state */
	bool is_done;
	enum rpc_status status;
	char message[256];
	unsigned num_mesh, num_answers;
	char services[4096]; /* of the last mesh state: "name address; " for each */
	uint64_t mesh_version, answer_version;
	struct ip_addr answered; /* by the last message */
	int answer_kind;
	size_t num_endpoints, num_networks, num_in_message;
	uint8_t digest[16];
	char folder[32], path[64];
};

/* Fixtures for cmocka: *state is the stream, with the identity spiffe://cluster.local/web and the mesh network
 * 192.0.2.0/24. */
int test_stream_set_up(void **state);
int test_stream_tear_down(void **state);
#define STREAM_TEST(name) cmocka_unit_test_setup_teardown(name, test_stream_set_up, test_stream_tear_down)

extern const char *test_stream_services; /* more settings for the next line's function; "": none */
struct control_config *test_stream_config(const char *networks); /* with these mesh networks; freed by the caller */
void test_stream_connect(struct test_stream *world);             /* again, after rpc_client_free() */
void test_stream_call(struct test_stream *world); /* another stream of this connection, which is then the one */
/* Rounds of the loop until the flag is set or, where it is NULL, the counter is `wanted`. */
void test_stream_run(struct test_stream *world, const bool *flag, unsigned *counter, unsigned wanted);
void test_stream_send(struct test_stream *world, Handfast__V1__DiscoveryUp *up);
void test_stream_hello(struct test_stream *world, uint32_t version);
void test_stream_subscribe(struct test_stream *world, const char *text);
/* known: the digest of the answer that the sidecar has; NULL: none. */
void test_stream_subscribe_knowing(struct test_stream *world, const char *text, const uint8_t *known);
