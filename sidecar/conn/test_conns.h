/* For tests: everything that the connections of one worker use. The test advances the clock; sockets are real ones on
 * loopback; the test sets the original destination that the kernel would report. */
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
	unsigned num_subscribed;

	bool is_redirected; /* else the kernel reports no original destination */
	struct addr original_dst;
	bool loopback_is_ours; /* for inbound destinations: 127.0.0.1 counts as an address of the workload */

	int app_listener; /* of the workload */
	struct addr app_at;

	unsigned num_begun, num_relayed, num_ended;
	unsigned num_outliers; /* reports of endpoints that are set aside or serve again; then the last one */
	struct addr outlier;
	uint32_t pause_ms;
	struct relay_counts bytes; /* as reported to on_bytes */
	enum share_limit limit;    /* that refused a connection last */
	enum close_reason reason;  /* of the last connection that ended */
	struct access_record record;
	struct why detail;
	char rule[64];
};

/* With everything that a connection may need: credentials, policy, networks 10.0.0.0/8. */
struct test_conns *test_conns_new(size_t max);
struct test_conns *test_conns_new_limited(const struct conn_limits *limits);
void test_conns_free(struct test_conns *conns);
void test_conns_turn(struct test_conns *conns);              /* runs the loop until all ready events are handled */
void test_conns_wait(struct test_conns *conns, uint64_t ms); /* advances the clock, then runs the loop */

/* Fixtures for cmocka: *state is a struct test_conns, for at most 16 connections. */
int test_conns_setup(void **state);
int test_conns_teardown(void **state);
#define CONNS_TEST(name) cmocka_unit_test_setup_teardown(name, test_conns_setup, test_conns_teardown)

#define TEST_MESHED_IP "10.0.0.1"
#define TEST_MESHED    TEST_MESHED_IP ":80" /* a destination in the mesh's networks */

/* Connections; each returns the socket of the caller's side. */
int test_outbound(struct test_conns *conns, const char *destination);
int test_inbound_plain(struct test_conns *conns, const char *destination); /* NULL: to the app */
void test_inbound(struct test_conns *conns, struct inbound_stream *stream, const char *authority, const char *peer);
/* To the app, with the peer's word for its own app's address; family 0: absent. */
void test_inbound_forwarded(
	struct test_conns *conns, struct inbound_stream *stream, const struct addr *forwarded, const char *peer);

/* Changes of the snapshot. Each notifies the connections. */
#define TEST_FIRST_ENDPOINT 100 /* last byte of the first endpoint's address; the others follow */
void test_answer(struct test_conns *conns, const char *destination, enum destination_kind kind, size_t num_endpoints);
void test_policy(struct test_conns *conns, struct policy *policy); /* adopts the reference; NULL: none */
struct policy *test_policy_new(enum inbound_mode mode);
void test_networks(struct test_conns *conns, const char *inside, const char *required); /* NULL: no such network */
void test_networks_with_service(
	struct test_conns *conns, const char *inside, const char *name, const char *address); /* a service by name */
void test_no_networks(struct test_conns *conns);
void test_credentials(struct test_conns *conns, bool has_any);
void test_ban(struct test_conns *conns, const char *id);

/* The other end, as the app or a caller sees it. */
bool test_was_reset(int fd);
bool test_is_open(int fd);
bool test_passes(struct test_conns *conns, int from, int to); /* whether bytes written at one end arrive at the other */
int test_app_accept(struct test_conns *conns);                /* -1: no connection is pending */
