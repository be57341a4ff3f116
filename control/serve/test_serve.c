#include "control/serve/test_serve.h"
#include "base/core/base64url.h"
#include "base/core/clock.h"
#include "base/core/mem.h"
#include "base/net/socket.h"
#include "base/settings/settings.h"
#include "control/serve/test_client.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

void world_run(struct world *world, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++)
		loop_run_once(world->loop, false);
}

void world_wait_until(struct world *world, const bool *flag)
{
	while (!*flag)
		loop_run_once(world->loop, false);
}

static void on_lost(void *arg, enum err err)
{
	(void)arg;
	(void)err;
	fail();
}

static void on_changed(void *arg)
{
	struct world *world = arg;
	if (world->serve == NULL)
		world->is_ready = true; /* of set_up; later another's wait would end by it */
	else
		serve_trust_changed(world->serve);
}

static void on_introduced(void *arg, enum err err, const struct issued *issued, _unused_ const struct why *why)
{
	struct world *world = arg;
	assert_int_equal(err, ERR_NONE);
	assert_int_equal(buf_append(&world->root, issued->chain[1]), ERR_NONE);
	world->is_ready = true;
}

static void on_identity(void *arg, enum err err, _unused_ const struct why *why)
{
	assert_int_equal(err, ERR_NONE);
	((struct world *)arg)->is_ready = true;
}

static void on_roots(void *arg)
{
	struct world *world = arg;
	if (world->trust != NULL)
		trust_roots_changed(world->trust);
}

static void on_active(void *arg, const struct issued *authorities)
{
	struct world *world = arg;
	if (world->serve != NULL)
		serve_root_replaced(world->serve, authorities);
}

static void on_pins(void *arg)
{
	struct world *world = arg;
	if (world->trust != NULL)
		trust_pins_changed(world->trust);
}

static void on_active_bootstrap(void *arg, const struct issued *authorities)
{
	struct world *world = arg;
	if (world->serve != NULL)
		serve_bootstrap_replaced(world->serve, authorities);
}

static void on_token(void *arg, enum err err, struct span line, _unused_ struct span id, _unused_ int64_t not_after_s)
{
	struct world *world = arg;
	assert_int_equal(err, ERR_NONE);
	/* hf1.<22>.<43>.<43> */
	assert_int_equal(base64url_decode(span_of(line.ptr + 4, 22), &world->token_id), ERR_NONE);
	assert_int_equal(base64url_decode(span_of(line.ptr + 27, 43), &world->secret), ERR_NONE);
	world->is_ready = true;
}

static void read_config(struct world *world)
{
	static const char yaml[] = "trust_domain: td\nmesh: {networks: [127.0.0.0/8]}\n";
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	settings_read_text(settings, "test", span_of_str(yaml));
	assert_int_equal(control_config_read(settings, &world->config), ERR_NONE);
}

static void start_parts(struct world *world)
{
	const struct issuer_options issuer = {.loop = world->loop,
		.key_folder = world->keys,
		.trust_domain = &world->domain,
		.max_leaf_ttl_s = 3600,
		.intermediate_life_s = 604800,
		.root_life_s = 31536000,
		.policy = KEYS_MAY_BE_MADE,
		.on_lost = on_lost,
		.arg = world};
	const struct registry_observer observer = {0};
	assert_int_equal(issuer_start(&issuer, &world->issuer, NULL), ERR_NONE);
	assert_int_equal(store_open(world->loop, world->database, &world->store, NULL), ERR_NONE);
	const struct store_mark mark = {.epoch = 1, .incarnation = 1};
	issuer_introduce(world->issuer, &mark, on_introduced, world);
	world_wait_until(world, &world->is_ready);
	world->is_ready = false;
	world->identity = server_identity_new(world->loop, world->issuer, on_identity, world);
	world_wait_until(world, &world->is_ready);
	world->is_ready = false;
	const struct bootstrap_options bootstrap = {.loop = world->loop,
		.store = world->store,
		.issuer = world->issuer,
		.first = server_identity_root(world->identity),
		.on_ready = on_identity,
		.on_pins = on_pins,
		.on_active = on_active_bootstrap,
		.arg = world};
	world->bootstrap = bootstrap_new(&bootstrap);
	world_wait_until(world, &world->is_ready);
	world->is_ready = false;
	const struct rotation_options rotation = {.loop = world->loop,
		.store = world->store,
		.issuer = world->issuer,
		.root = buf_span(&world->root),
		.on_ready = on_identity,
		.on_roots = on_roots,
		.on_active = on_active,
		.arg = world};
	world->rotation = rotation_new(&rotation);
	world_wait_until(world, &world->is_ready);
	world->is_ready = false;
	const struct trust_options trust = {world->loop, world->store, &world->domain, rotation_roots(world->rotation),
		bootstrap_pins(world->bootstrap), on_changed, world};
	assert_int_equal(trust_new(&trust, &world->trust, NULL), ERR_NONE);
	world_wait_until(world, &world->is_ready);
	world->attest = attest_new(world->loop, world->store, &world->domain);
	world->registry = registry_new(world->loop, world->store, world->config, &observer);
	world->distributor = distributor_new(world->loop, world->registry, world->config);
}

static bool is_replica(void *arg, const char *name)
{
	const struct world *world = arg;
	return strcmp(name, "a") == 0 || !world->has_lost_others;
}

static void open_listeners(struct world *world)
{
	struct serve_options options = {.loop = world->loop,
		.store = world->store,
		.registry = world->registry,
		.distributor = world->distributor,
		.attest = world->attest,
		.issuer = world->issuer,
		.trust = world->trust,
		.rotation = world->rotation,
		.bootstrap = world->bootstrap,
		.identity = world->identity,
		.metrics = metrics_shard(world->metrics, 0),
		.leaf_ttl_s = 60,
		.forget_after_s = 3600,
		.report_each_s = 10,
		.attest_per_second = 3,
		.max_connections = world->max_connections,
		.max_handshakes = 20,
		.release = "test",
		.replica = "a",
		.is_replica = is_replica,
		.replicas_arg = world,
		.operator_port_fd = -1,
		.streams_unix_fd = -1,
		.tcp_table_fd = -1};
	const struct socket_listen_options listen = {0};
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("127.0.0.1"), &world->at.ip), ERR_NONE);
	assert_int_equal(socket_listen(&world->at, &listen, &options.streams_fd, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(options.streams_fd, &world->at), ERR_NONE);
	assert_int_equal(socket_listen_unix(world->socket, 0600, NULL, &options.operator_fd, NULL), ERR_NONE);
	world->serve = serve_new(&options);
}

void world_make_token(struct world *world)
{
	const uint8_t hash[DIGEST_LEN] = {0};
	struct attest_token_request request = {SPAN_LITERAL(TEST_ID), 60, NULL, 0, hash};
	buf_clear(&world->token_id);
	buf_clear(&world->secret);
	world->is_ready = false;
	assert_int_equal(attest_token_create(world->attest, &request, on_token, world, NULL), ERR_NONE);
	world_wait_until(world, &world->is_ready);
}

int world_set_up_for(void **state, uint32_t max_connections)
{
	struct world *world = mem_new(struct world);
	world->max_connections = max_connections;
	const struct tls_context_options tls = {.role = TLS_CLIENT, .alpn = "h2"};
	snprintf(world->folder, sizeof world->folder, "/tmp/serveXXXXXX");
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->keys, sizeof world->keys, "%s/keys", world->folder);
	snprintf(world->database, sizeof world->database, "%s/db", world->folder);
	snprintf(world->socket, sizeof world->socket, "%s/socket", world->folder);
	snprintf(world->domain.name, sizeof world->domain.name, "td");
	buf_init(&world->root, 8192);
	buf_init(&world->token_id, 64);
	buf_init(&world->secret, 64);
	buf_init(&world->answer, 65536);
	world->loop = loop_new(&clock_system);
	world->metrics = control_metrics_new();
	world->tls = tls_context_new(&tls);
	world->scratch = tls_scratch_new();
	world->attestation_key = private_key_generate();
	world->leaf_key = private_key_generate();
	read_config(world);
	start_parts(world);
	open_listeners(world);
	world_make_token(world);
	*state = world;
	return 0;
}

int world_set_up(void **state)
{
	return world_set_up_for(state, 100);
}

int world_tear_down(void **state)
{
	struct world *world = *state;
	world_disconnect(world);
	serve_free(world->serve);
	server_identity_free(world->identity);
	rotation_free(world->rotation);
	bootstrap_free(world->bootstrap);
	issuer_free(world->issuer);
	trust_free(world->trust);
	distributor_free(world->distributor);
	registry_free(world->registry);
	store_close(world->store);
	loop_run_once(world->loop, false);
	attest_free(world->attest);
	control_config_free(world->config);
	metrics_free(world->metrics);
	if (world->svid != NULL)
		svid_unref(world->svid);
	private_key_unref(world->attestation_key);
	private_key_unref(world->leaf_key);
	tls_context_free(world->tls);
	tls_scratch_free(world->scratch);
	loop_free(world->loop);
	buf_done(&world->root);
	buf_done(&world->token_id);
	buf_done(&world->secret);
	buf_done(&world->answer);
	_cleanup_(mem_freep) char *command = mem_printf("rm -rf %s", world->folder);
	assert_int_equal(system(command), 0);
	mem_free(world);
	return 0;
}
