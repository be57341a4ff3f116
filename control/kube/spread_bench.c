/* How long a pod's change takes to all sidecars that subscribed a Service of it: 1,000 sidecars of 50 subscriptions,
 * with 10,000 pods and 1,000 Services. Control plane and sidecars share one thread and speak gRPC over socket pairs;
 * from the object as JSON to the answer at the sidecar. */
#include "base/core/check.h"
#include "base/core/clock.h"
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "base/rpc/rpc_client.h"
#include "base/rpc/rpc_server.h"
#include "base/settings/settings.h"
#include "control/distribute/distribute.h"
#include "control/kube/view.h"
#include "proto/handfast/v1/discovery.pb-c.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	PODS = 10000,
	SERVICES = 1000,
	SIDECARS = 1000,
	SUBSCRIPTIONS = 50,
	STREAMS_PER_CONNECTION = 250,
	CONNECTIONS = SIDECARS / STREAMS_PER_CONNECTION,
	CHANGES = 1000,
	PER_SECOND = 200,
	SAMPLES_MAX = 4 * CHANGES * SUBSCRIPTIONS,
	RUN_LIMIT_MS = 60000,
};

struct bench {
	struct loop *loop;
	struct store *store;
	struct control_config *config;
	struct registry *registry;
	struct distributor *distributor;
	struct kube_view *view;
	struct rpc_server *server;
	struct rpc_client *clients[CONNECTIONS];
	struct rpc_call *calls[SIDECARS];
	struct spiffe_id id;
	unsigned num_ready, num_answers, num_samples;
	bool is_deleting[PODS];
	double changed_at[SERVICES], samples[SAMPLES_MAX];
	char folder[32], path[64], text[65536];
};

static double now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* --- the cluster --- */

static void put(struct bench *bench, enum kube_kind kind)
{
	struct why why = {0};
	json_t *object = json_loads(bench->text, 0, NULL);
	CHECK(object != NULL && kube_view_put(bench->view, kind, object, &why) == ERR_NONE);
	json_decref(object);
}

static void put_pod(struct bench *bench, unsigned i)
{
	snprintf(bench->text, sizeof(bench->text),
		"{\"metadata\":{\"name\":\"pod-%u\",\"namespace\":\"shop\",\"uid\":\"uid-%u\",\"annotations\":{"
		"\"handfast.dev/"
		"injected\":\"true\"}%s},\"spec\":{\"serviceAccountName\":\"app-%u\",\"containers\":[{\"name\":"
		"\"handfast\"}]},"
		"\"status\":{\"podIP\":\"2001:db8:1::%x\"}}",
		i, i, bench->is_deleting[i] ? ",\"deletionTimestamp\":\"2026-11-28T04:14:47Z\"" : "", i % SERVICES,
		i + 1);
	put(bench, KUBE_PODS);
}

static void put_service(struct bench *bench, unsigned service)
{
	snprintf(bench->text, sizeof(bench->text),
		"{\"metadata\":{\"name\":\"app-%u\",\"namespace\":\"shop\",\"uid\":\"s%u\"},\"spec\":{\"clusterIPs\":["
		"\"2001:db8:"
		"2::%x\"],\"ports\":[{\"port\":80}]}}",
		service, service, service + 1);
	put(bench, KUBE_SERVICES);
	int len = snprintf(bench->text, sizeof(bench->text),
		"{\"metadata\":{\"name\":\"e%u\",\"namespace\":\"shop\",\"uid\":\"e%u\",\"labels\":{\"kubernetes.io/"
		"service-name\":"
		"\"app-%u\"}},\"ports\":[{\"port\":8080}],\"endpoints\":[",
		service, service, service);
	for (unsigned i = service; i < PODS; i += SERVICES)
		len += snprintf(bench->text + len, sizeof(bench->text) - (size_t)len,
			"%s{\"addresses\":[\"2001:db8:1::%x\"],\"targetRef\":{\"kind\":\"Pod\",\"uid\":\"uid-%u\"}}",
			i == service ? "" : ",", i + 1, i);
	snprintf(bench->text + len, sizeof(bench->text) - (size_t)len, "]}");
	put(bench, KUBE_SLICES);
}

static void put_all(struct bench *bench)
{
	for (enum kube_kind kind = 0; kind < NUM_KUBE_KINDS; kind++)
		kube_view_begin(bench->view, kind);
	for (unsigned i = 0; i < PODS; i++)
		put_pod(bench, i);
	for (unsigned i = 0; i < SERVICES; i++)
		put_service(bench, i);
	for (enum kube_kind kind = 0; kind < NUM_KUBE_KINDS; kind++)
		kube_view_synced(bench->view, kind);
}

/* --- the control plane --- */

static void on_view_change(void *arg, const struct ip_addr *ip)
{
	registry_source_changed(((struct bench *)arg)->registry, ip);
}

static void on_registry_change(void *arg, const struct ip_addr *ip)
{
	struct bench *bench = arg;
	if (bench->distributor != NULL)
		distributor_registry_changed(bench->distributor, ip);
}

static void on_start(void *arg, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	struct bench *bench = arg;
	distribute_start(bench->distributor, call, &bench->id, &(struct ip_addr){.family = 0});
}

static const struct rpc_method methods[] = {{
	.path = DISTRIBUTE_METHOD_PATH,
	.on_start = on_start,
	.on_message = distribute_message,
	.on_half_close = distribute_half_close,
	.on_done = distribute_done,
}};

static void control_plane_start(struct bench *bench)
{
	static const struct trust_domain domain = {"cluster.local"};
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	settings_read_text(settings, "bench.yaml", SPAN_LITERAL("mesh: {networks: ['2001:db8::/32']}\n"));
	CHECK(control_config_read(settings, &bench->config) == ERR_NONE);
	snprintf(bench->folder, sizeof(bench->folder), "/tmp/spread.XXXXXX");
	CHECK(mkdtemp(bench->folder) != NULL);
	snprintf(bench->path, sizeof(bench->path), "%s/store", bench->folder);
	CHECK(store_open(bench->loop, bench->path, &bench->store, NULL) == ERR_NONE);
	CHECK(spiffe_id_parse(SPAN_LITERAL("spiffe://cluster.local/caller"), &bench->id, NULL) == ERR_NONE);
	bench->registry = registry_new(bench->loop, bench->store, bench->config,
		&(struct registry_observer){.on_change = on_registry_change, .arg = bench});
	bench->view = kube_view_new(&domain, &(struct kube_view_observer){on_view_change, bench});
	registry_set_source(
		bench->registry, &(struct registry_source){.resolve = kube_view_resolve, .arg = bench->view});
	bench->distributor = distributor_new(bench->loop, bench->registry, bench->config);
	bench->server = rpc_server_new(&(struct rpc_server_options){.loop = bench->loop,
		.methods = methods,
		.num_methods = 1,
		.max_streams = STREAMS_PER_CONNECTION,
		.arg = bench});
}

/* --- the sidecars --- */

static void on_message(void *arg, _unused_ struct rpc_call *call, struct span message)
{
	struct bench *bench = arg;
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	CHECK(pb_unpack(&handfast__v1__discovery_down__descriptor, message, &arena, &unpacked, NULL) == ERR_NONE);
	const Handfast__V1__DiscoveryDown *down = (const void *)unpacked;
	if (down->kind_case != HANDFAST__V1__DISCOVERY_DOWN__KIND_ANSWERS)
		return;
	const uint8_t *ip = down->answers->answers[0]->destination->ip.data;
	unsigned service = (unsigned)(ip[14] << 8 | ip[15]) - 1;
	bench->num_answers++;
	CHECK(service < SERVICES);
	if (bench->changed_at[service] > 0 && bench->num_samples < SAMPLES_MAX)
		bench->samples[bench->num_samples++] = now_ms() - bench->changed_at[service];
}

static void on_done(_unused_ void *arg, _unused_ struct rpc_call *call, enum rpc_status status, const char *message,
	_unused_ uint32_t retry_after_ms)
{
	fprintf(stderr, "a stream ended: %d %s\n", (int)status, message == NULL ? "" : message);
	exit(1);
}

static void on_ready(void *arg, _unused_ struct rpc_client *client)
{
	((struct bench *)arg)->num_ready++;
}

static void run_until(struct bench *bench, const unsigned *counter, unsigned wanted)
{
	double start = now_ms();
	while (*counter < wanted && now_ms() - start < RUN_LIMIT_MS)
		loop_run_once(bench->loop, false);
	CHECK(*counter >= wanted);
}

static void connect_client(struct bench *bench, unsigned number)
{
	int ends[2];
	struct addr from = {0};
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
	rpc_server_adopt(bench->server, transport_new_plain(ends[0]), &from);
	bench->clients[number] = rpc_client_new(&(struct rpc_client_options){.loop = bench->loop,
		.transport = transport_new_plain(ends[1]),
		.authority = "control",
		.on_ready = on_ready,
		.arg = bench});
}

static void send_up(struct rpc_call *call, Handfast__V1__DiscoveryUp *up)
{
	_cleanup_(buf_done) struct buf wire = BUF_INIT(65536);
	CHECK(pb_pack(&up->base, &wire) == ERR_NONE && rpc_call_send(call, buf_span(&wire)) == ERR_NONE);
}

static void sidecar_start(struct bench *bench, unsigned number)
{
	static const struct rpc_call_handlers handlers = {.on_message = on_message, .on_done = on_done};
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__Hello hello = HANDFAST__V1__HELLO__INIT;
	Handfast__V1__Subscribe subscribe = HANDFAST__V1__SUBSCRIBE__INIT;
	Handfast__V1__SocketAddress addresses[SUBSCRIPTIONS], *list[SUBSCRIPTIONS];
	uint8_t bytes[SUBSCRIPTIONS][16];
	struct rpc_call **call = &bench->calls[number];
	CHECK(rpc_client_call(bench->clients[number / STREAMS_PER_CONNECTION], DISTRIBUTE_METHOD_PATH, 0, &handlers,
		      bench, call) == ERR_NONE);
	hello.protocol_version = 1;
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_HELLO;
	up.hello = &hello;
	send_up(*call, &up);
	for (unsigned i = 0; i < SUBSCRIPTIONS; i++) {
		unsigned service = (number * 7 + i * (SERVICES / SUBSCRIPTIONS)) % SERVICES + 1;
		memcpy(bytes[i], (uint8_t[16]){0x20, 0x01, 0x0d, 0xb8, 0, 2}, 16);
		bytes[i][14] = (uint8_t)(service >> 8);
		bytes[i][15] = (uint8_t)service;
		handfast__v1__socket_address__init(&addresses[i]);
		addresses[i].ip = pb_bytes(span_of(bytes[i], 16));
		addresses[i].port = 80;
		list[i] = &addresses[i];
	}
	subscribe.destinations = list;
	subscribe.n_destinations = SUBSCRIPTIONS;
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_SUBSCRIBE;
	up.subscribe = &subscribe;
	send_up(*call, &up);
}

/* --- the measurement --- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void change_pods(struct bench *bench)
{
	double start = now_ms();
	unsigned answers = bench->num_answers;
	for (unsigned n = 0; n < CHANGES; n++) {
		unsigned i = n * 7919 % PODS;
		while (now_ms() - start < n * 1e3 / PER_SECOND)
			loop_run_once(bench->loop, false);
		bench->is_deleting[i] = !bench->is_deleting[i];
		bench->changed_at[i % SERVICES] = now_ms();
		put_pod(bench, i);
	}
	run_until(bench, &bench->num_answers, answers + CHANGES * SUBSCRIPTIONS);
	qsort(bench->samples, bench->num_samples, sizeof(bench->samples[0]), by_value);
	printf("%u changes, %u per second, %u answers: p50 %.1f ms, p99 %.1f ms, longest %.1f ms\n", (unsigned)CHANGES,
		(unsigned)PER_SECOND, bench->num_samples, bench->samples[bench->num_samples / 2],
		bench->samples[bench->num_samples * 99UL / 100], bench->samples[bench->num_samples - 1]);
}

/* The store's files (SQLite). */
static void folder_remove(const struct bench *bench)
{
	static const char *const ends[] = {"", "-wal", "-shm", ".lock"};
	char path[80];
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", bench->path, ends[i]);
		(void)unlink(path);
	}
	(void)rmdir(bench->folder);
}

int main(void)
{
	struct bench *bench = mem_new(struct bench);
	bench->loop = loop_new(&clock_system);
	control_plane_start(bench);
	put_all(bench);
	for (unsigned i = 0; i < CONNECTIONS; i++)
		connect_client(bench, i);
	run_until(bench, &bench->num_ready, CONNECTIONS);
	double start = now_ms();
	for (unsigned i = 0; i < SIDECARS; i++)
		sidecar_start(bench, i);
	run_until(bench, &bench->num_answers, SIDECARS * SUBSCRIPTIONS);
	printf("%u sidecars have their %u answers after %.0f ms\n", (unsigned)SIDECARS, (unsigned)SUBSCRIPTIONS,
		now_ms() - start);
	change_pods(bench);
	folder_remove(bench);
	return 0; /* the process ends: nothing is freed */
}
