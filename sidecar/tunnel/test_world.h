/* For tests: two sidecars' tunnel ends in one process, over real loopback sockets and one loop, with certificates of a
 * small mesh. Time is injected and moves by a millisecond a round.
 *
 *	app --- [relay | pool] ===tunnel=== [server | relay] --- far
 */
#pragma once

#include "base/core/clock.h"
#include "certs/test_mesh.h"
#include "sidecar/relay/relay.h"
#include "sidecar/tunnel/pool/tunnel_pool.h"
#include "sidecar/tunnel/tunnel_server.h"

#define CLIENT_ID "spiffe://td.test/client"
#define SERVER_ID "spiffe://td.test/server"

enum { CALLS_MAX = 64 };

enum far_conduct { FAR_ACCEPT, FAR_REFUSE, FAR_HOLD };

struct far { /* an inbound stream and what became of it */
	struct world *world;
	struct inbound_stream *stream; /* held */
	struct relay *relay;
	int fd; /* the application's end; -1: none */
	bool was_abandoned, has_ended;
	enum relay_end end;
	struct addr forwarded;
};

struct call { /* an outbound connection */
	struct world *world;
	struct stream_attempt *attempt;
	struct leg *downstream; /* until the relay has it */
	struct relay *relay;
	int app; /* the application's end */
	struct addr source;
	bool has_result, has_ended;
	struct stream_result result;
	enum relay_end end;
	struct why detail;
};

struct world {
	struct clock_fake clock;
	struct trusted_time time;
	struct loop *loop;
	struct test_mesh *mesh;
	struct tls_context *client_context, *server_context;
	struct tls_scratch *scratch;
	struct verify_cache *cache;
	struct flow_control_memory *budget;
	struct tunnel_pool *pool;
	struct tunnel_server *server;
	struct listener *listener;
	struct addr at;                    /* of the tunnel port */
	void (*on_raw)(void *arg, int fd); /* takes the next accepted connection in the server's place */
	void *raw_arg;
	enum far_conduct conduct;
	unsigned refuse_status;
	const char *refuse_reason;
	struct call calls[CALLS_MAX];
	struct far fars[CALLS_MAX];
	unsigned num_calls, num_fars;
	uint32_t wait_ms;                         /* of calls, for a tunnel */
	bool keeps_downstream;                    /* after a failure, so that world_call_again() can try with it */
	unsigned opened[2], closed[2], failed[2]; /* tunnels, by outbound */
	struct why last_failure[2];
};

struct world_options {
	uint64_t flow_control_memory;
	struct tunnel_limits limits; /* of both ends */
	bool no_credentials;
};
struct world *world_new(const struct world_options *options); /* NULL: defaults */
void world_free(struct world *world);
void world_set_credentials(
	struct world *world, bool outbound, struct credentials *credentials); /* takes the reference */

/* For cmocka: a world of defaults per test. */
int world_setup(void **state);
int world_teardown(void **state);
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

/* An identity of the world's mesh. */
struct credentials *world_credentials(struct world *world, const char *id);
struct credentials *world_credentials_for(struct world *world, const char *id, unsigned seconds); /* expires then */

void world_run(struct world *world, unsigned rounds);
/* Round number num of those that wait for something: later ones take their time (loopback_wait). */
void world_wait(struct world *world, unsigned num);
/* Until the condition holds; false: it never did. */
#define WORLD_UNTIL(world, condition)                                                                                  \
	({                                                                                                             \
		for (unsigned i_ = 0; i_ < 3000 && !(condition); i_++)                                                 \
			world_wait(world, i_);                                                                         \
		(condition);                                                                                           \
	})

struct call *world_call(struct world *world); /* begins; the far end is world->fars[same order] */
void world_call_again(struct call *call);     /* with the same app */
struct call *world_call_to(struct world *world, const char *expected_id);
bool world_connect(struct world *world, struct call **out_call, struct far **out_far); /* and waits for both ends */
/* Moves len bytes of a pattern from one socket to the other; checks them. */
bool world_transfer(struct world *world, int from, int to, size_t len);
