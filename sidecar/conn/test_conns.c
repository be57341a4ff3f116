#include "sidecar/conn/test_conns.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "sidecar/leg/tcp_pair.h"
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { NOW_S = 1800000000 }; /* later than the earliest date that is accepted as a clock's time */
#define OWN_ID "spiffe://td.test/own"

static struct test_conns *world; /* the wrapped functions have no argument for it */

enum err __wrap_original_dst_get(int fd, const struct addr *peer, struct original_dst *out);
enum destination_fault __real_original_dst_check_inbound(
	const struct original_dst *dst, const struct addr *local, const struct own_ports *own);
enum destination_fault __wrap_original_dst_check_inbound(
	const struct original_dst *dst, const struct addr *local, const struct own_ports *own);
enum destination_fault __real_original_dst_check_authority(
	const struct original_dst *dst, const struct addr *tunnel_local, const struct own_ports *own);
enum destination_fault __wrap_original_dst_check_authority(
	const struct original_dst *dst, const struct addr *tunnel_local, const struct own_ports *own);

enum err __wrap_original_dst_get(int fd, const struct addr *peer, struct original_dst *out)
{
	(void)fd, (void)peer;
	if (!world->is_redirected)
		return ERR_NOT_FOUND;
	out->addr = world->original_dst;
	return ERR_NONE;
}

enum destination_fault __wrap_original_dst_check_inbound(
	const struct original_dst *dst, const struct addr *local, const struct own_ports *own)
{
	return world->loopback_is_ours ? DESTINATION_FINE : __real_original_dst_check_inbound(dst, local, own);
}

enum destination_fault __wrap_original_dst_check_authority(
	const struct original_dst *dst, const struct addr *tunnel_local, const struct own_ports *own)
{
	return world->loopback_is_ours ? DESTINATION_FINE : __real_original_dst_check_authority(dst, tunnel_local, own);
}

static void on_begin(void *arg, enum conn_kind kind)
{
	(void)kind;
	((struct test_conns *)arg)->num_begun++;
}

static void on_relay(void *arg, enum conn_kind kind, bool encrypted, const struct addr *destination, uint64_t after_ms)
{
	(void)kind;
	(void)encrypted;
	(void)destination;
	(void)after_ms;
	((struct test_conns *)arg)->num_relayed++;
}

static void on_bytes(void *arg, enum conn_kind kind, bool encrypted, const struct relay_counts *more)
{
	(void)kind;
	(void)encrypted;
	struct test_conns *conns = arg;
	conns->bytes.to_upstream += more->to_upstream;
	conns->bytes.to_downstream += more->to_downstream;
}

static void on_limit(void *arg, enum share_limit limit)
{
	((struct test_conns *)arg)->limit = limit;
}

static void on_end(void *arg, enum conn_kind kind, enum close_reason reason, const struct access_record *record)
{
	(void)kind;
	struct test_conns *conns = arg;
	conns->num_ended++;
	conns->reason = reason;
	conns->record = *record;
	conns->detail = record->detail == NULL ? (struct why){0} : *record->detail;
	snprintf(conns->rule, sizeof(conns->rule), "%s", record->rule == NULL ? "" : record->rule);
}

static void on_outlier(void *arg, const struct addr *destination, const struct addr *endpoint, uint32_t pause_ms,
	const struct why *why)
{
	struct test_conns *conns = arg;
	CHECK(addr_eq(destination, &conns->original_dst) && (why == NULL) == (pause_ms == 0));
	conns->num_outliers++;
	conns->outlier = *endpoint;
	conns->pause_ms = pause_ms;
}

static void on_subscribe(void *arg, const struct addr *destination)
{
	(void)destination;
	((struct test_conns *)arg)->num_subscribed++;
}

static struct addr addr_of(const char *text)
{
	struct addr addr;
	CHECK(addr_parse(span_of_str(text), &addr) == ERR_NONE);
	return addr;
}

struct test_conns *test_conns_new(size_t max)
{
	return test_conns_new_limited(&(struct conn_limits){.max = max});
}

struct test_conns *test_conns_new_limited(const struct conn_limits *limits)
{
	struct test_conns *conns = world = mem_new(struct test_conns);
	clock_fake_init(&conns->clock, NOW_S * 1000LL);
	conns->loop = loop_new(&conns->clock.clock);
	conns->mesh = test_mesh_new("td.test", NOW_S);
	conns->app_listener = tcp_listen_any(&conns->app_at);
	conns->pool.loop = conns->loop;
	conns->snapshot.answers = endpoint_table_new(64);
	conns->snapshot.outbound_mode = OUTBOUND_AUTO;
	conns->snapshot.subscribe = on_subscribe;
	conns->snapshot.subscribe_arg = conns;
	conns->is_redirected = true;
	conns->env = (struct conn_env){
		.loop = conns->loop,
		.snapshot = &conns->snapshot,
		.table = conn_table_new(limits),
		.pool = &conns->pool,
		.loads = loads_new(),
		.outliers = outliers_new(),
		.spread = 1,
		.timeouts = {.resolve = 5000, .connect = 10000, .idle = 0},
		.keepalive = {.idle_s = 25, .interval_s = 10, .probes = 3},
		.observer = {.on_begin = on_begin,
			.on_relay = on_relay,
			.on_bytes = on_bytes,
			.on_limit = on_limit,
			.on_end = on_end,
			.on_outlier = on_outlier,
			.arg = conns},
	};
	own_ports_add(&conns->env.own_ports, 15001);
	own_ports_add(&conns->env.own_ports, 15006);
	own_ports_add(&conns->env.own_ports, 15008);
	test_credentials(conns, true);
	test_policy(conns, test_policy_new(INBOUND_PERMISSIVE));
	test_networks(conns, "10.0.0.0/8", NULL);
	return conns;
}

void test_conns_free(struct test_conns *conns)
{
	conn_table_free(conns->env.table);
	CHECK(conns->num_ended == conns->num_begun); /* exactly one record each */
	loads_free(conns->env.loads);
	outliers_free(conns->env.outliers);
	credentials_unref(conns->snapshot.credentials);
	policy_unref(conns->snapshot.policy);
	mesh_networks_unref(conns->snapshot.networks);
	endpoint_table_free(conns->snapshot.answers);
	test_mesh_free(conns->mesh);
	fd_close(conns->app_listener);
	loop_free(conns->loop);
	mem_free(conns);
}

void test_conns_turn(struct test_conns *conns)
{
	loopback_settle();
	for (unsigned i = 0; i < 8; i++) {
		loop_run_once(conns->loop, false);
		loopback_settle();
	}
}

void test_conns_wait(struct test_conns *conns, uint64_t ms)
{
	clock_fake_advance(&conns->clock, ms);
	test_conns_turn(conns);
}

int test_outbound(struct test_conns *conns, const char *destination)
{
	struct tcp_pair pair;
	tcp_pair_open(&pair);
	conns->original_dst = destination == NULL ? conns->app_at : addr_of(destination);
	conn_start_outbound(&conns->env, pair.far, &pair.near_addr);
	test_conns_turn(conns);
	return pair.near;
}

int test_inbound_plain(struct test_conns *conns, const char *destination)
{
	struct tcp_pair pair;
	tcp_pair_open(&pair);
	conns->loopback_is_ours = destination == NULL;
	conns->original_dst = destination == NULL ? conns->app_at : addr_of(destination);
	conn_start_inbound_plain(&conns->env, pair.far, &pair.near_addr);
	test_conns_turn(conns);
	return pair.near;
}

static void inbound(struct test_conns *conns, struct inbound_stream *stream, const char *authority,
	const struct addr *forwarded, const char *peer)
{
	_cleanup_(credentials_unrefp) struct credentials *theirs = test_mesh_credentials(conns->mesh, peer);
	conns->loopback_is_ours = authority == NULL;
	*stream = (struct inbound_stream){
		.loop = conns->loop,
		.authority = authority == NULL ? conns->app_at : addr_of(authority),
		.local = addr_of("192.0.2.1:15008"),
		.remote = addr_of("192.0.2.2:40000"),
		.forwarded = *forwarded,
		.peer = credentials_svid(theirs),
		.far = -1,
	};
	conn_start_inbound(&conns->env, stream);
	test_conns_turn(conns);
}

void test_inbound(struct test_conns *conns, struct inbound_stream *stream, const char *authority, const char *peer)
{
	inbound(conns, stream, authority, &(struct addr){.port = 0}, peer);
}

void test_inbound_forwarded(
	struct test_conns *conns, struct inbound_stream *stream, const struct addr *forwarded, const char *peer)
{
	inbound(conns, stream, NULL, forwarded, peer);
}

static void snapshot_changed(struct test_conns *conns)
{
	conn_table_snapshot_changed(conns->env.table);
	test_conns_turn(conns);
}

void test_answer(struct test_conns *conns, const char *destination, enum destination_kind kind, size_t num_endpoints)
{
	struct addr at = addr_of(destination);
	_cleanup_(answer_unrefp) struct answer *answer = answer_new(&at, kind, 1, num_endpoints);
	for (size_t i = 0; i < num_endpoints; i++) {
		answer->endpoints[i].address = at;
		answer->endpoints[i].address.ip.bytes[3] = (uint8_t)(TEST_FIRST_ENDPOINT + i);
		CHECK(spiffe_id_parse(span_of_str("spiffe://td.test/there"), &answer->endpoints[i].id, NULL) ==
			ERR_NONE);
	}
	endpoint_table_put(conns->snapshot.answers, answer);
	test_conns_turn(conns);
}

void test_policy(struct test_conns *conns, struct policy *policy)
{
	struct policy *old = conns->snapshot.policy;
	conns->snapshot.policy = policy;
	snapshot_changed(conns);
	policy_unref(old);
}

struct policy *test_policy_new(enum inbound_mode mode)
{
	struct trust_domain domain;
	CHECK(trust_domain_parse(span_of_str("td.test"), &domain, NULL) == ERR_NONE);
	return policy_new(&domain, mode);
}

static void networks_replace(struct test_conns *conns, struct mesh_networks *networks)
{
	struct mesh_networks *old = conns->snapshot.networks;
	conns->snapshot.networks = networks;
	snapshot_changed(conns);
	mesh_networks_unref(old);
}

void test_networks(struct test_conns *conns, const char *inside, const char *required)
{
	struct mesh_networks *networks = mesh_networks_new(inside != NULL, 0, required != NULL);
	if (inside != NULL)
		CHECK(network_parse(span_of_str(inside), &networks->inside[0]) == ERR_NONE);
	if (required != NULL)
		CHECK(network_parse(span_of_str(required), &networks->require_mtls[0]) == ERR_NONE);
	networks_replace(conns, networks);
}

void test_networks_with_service(struct test_conns *conns, const char *inside, const char *name, const char *address)
{
	struct mesh_networks *networks = mesh_networks_new(1, 0, 0);
	struct ip_addr ip;
	CHECK(network_parse(span_of_str(inside), &networks->inside[0]) == ERR_NONE);
	CHECK(ip_addr_parse(span_of_str(address), &ip) == ERR_NONE);
	mesh_networks_add_service(networks, span_of_str(name), &ip);
	networks_replace(conns, networks);
}

void test_no_networks(struct test_conns *conns)
{
	networks_replace(conns, NULL);
}

static void credentials_replace(struct test_conns *conns, struct credentials *credentials)
{
	struct credentials *old = conns->snapshot.credentials;
	conns->snapshot.credentials = credentials;
	snapshot_changed(conns);
	credentials_unref(old);
}

void test_credentials(struct test_conns *conns, bool has_any)
{
	credentials_replace(conns, has_any ? test_mesh_credentials(conns->mesh, OWN_ID) : NULL);
}

void test_ban(struct test_conns *conns, const char *id)
{
	struct spiffe_id banned;
	_cleanup_(bundle_set_unrefp) struct bundle_set *bundles = bundle_set_new();
	CHECK(bundle_set_add(bundles, test_mesh_bundle(conns->mesh), NULL) == ERR_NONE);
	CHECK(spiffe_id_parse(span_of_str(id), &banned, NULL) == ERR_NONE);
	bundle_set_ban_id(bundles, &banned);
	spiffe_id_done(&banned);
	credentials_replace(conns, test_mesh_credentials_until(conns->mesh, OWN_ID, NOW_S + 3600, bundles));
}

bool test_was_reset(int fd)
{
	char byte;
	return read(fd, &byte, 1) < 0 && errno == ECONNRESET;
}

bool test_is_open(int fd)
{
	char byte;
	return read(fd, &byte, 1) < 0 && errno == EAGAIN;
}

int test_app_accept(struct test_conns *conns)
{
	struct addr peer;
	int fd = -1;
	return fd_accept(conns->app_listener, &peer, &fd) == ERR_NONE ? fd : -1;
}

int test_conns_setup(void **state)
{
	*state = test_conns_new(16);
	return 0;
}

int test_conns_teardown(void **state)
{
	test_conns_free(*state);
	return 0;
}

bool test_passes(struct test_conns *conns, int from, int to)
{
	char bytes[8];
	if (write(from, "hello", 5) != 5)
		return false;
	test_conns_turn(conns);
	return read(to, bytes, sizeof(bytes)) == 5;
}
