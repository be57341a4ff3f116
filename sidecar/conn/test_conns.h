/* For tests: the world around the connections of one worker. Time stands still until it is told; sockets are real ones
 * on loopback; what the kernel would say of redirected connections is what the test says. */
#pragma once

#include "certs/test_mesh.h"
#include "sidecar/conn/conn_table.h"
#include "sidecar/conn/test_tunnels.h"

struct test_conns {
	struct clock_fake clock;
	struct loop *loop;
	struct test_mesh *mesh;
	struct worker_snapshot snapshot;
	struct conn_env env;
	struct tunnel_pool pool;
	unsigned num_asked;

	bool is_redirected; /* else the kernel knows of no original destination */
	struct addr original_dst;
	bool loopback_is_ours; /* for inbound destinations: takes 127.0.0.1 for an address of the workload */

	int app_listener; /* the workload listens here */
	struct addr app_at;

	unsigned num_begun, num_relayed, num_ended;
	struct relay_counts bytes; /* as told while they lived */
	enum share_limit limit;    /* that the last one refused met */
	enum close_reason reason;  /* of the last that ended */
	struct access_record record;
	struct why why;
	char rule[64];
};

/* With everything a connection may need: credentials, policy, networks 10.0.0.0/8. */
struct test_conns *test_conns_new(size_t max);
void test_conns_free(struct test_conns *conns);
void test_conns_turn(struct test_conns *conns);              /* all that can happen now */
void test_conns_wait(struct test_conns *conns, uint64_t ms); /* time passes */

/* Connections; each returns what the caller's side is. */
int test_outbound(struct test_conns *conns, const char *destination);
int test_inbound_plain(struct test_conns *conns, const char *destination); /* NULL: to the app */
void test_inbound(struct test_conns *conns, struct inbound_stream *stream, const char *authority, const char *peer);

/* What the snapshot learns. Each tells the connections. */
void test_answer(struct test_conns *conns, const char *destination, enum destination_kind kind, size_t num_endpoints);
void test_policy(struct test_conns *conns, struct policy *policy); /* takes the reference; NULL: none */
struct policy *test_policy_new(enum inbound_mode mode);
void test_networks(struct test_conns *conns, const char *inside, const char *required); /* NULL: none of it */
void test_no_networks(struct test_conns *conns);
void test_credentials(struct test_conns *conns, bool has_any);
void test_ban(struct test_conns *conns, const char *id);

/* The other end as the app or a caller sees it. */
bool test_was_reset(int fd);
bool test_is_open(int fd);
int test_app_accept(struct test_conns *conns); /* -1: nobody has connected */
