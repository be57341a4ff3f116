#include "control/registry/test_registry.h"
#include "base/core/mem.h"
#include "base/core/test_wait.h"
#include "base/settings/settings.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static const char yaml[] =
	"mesh:\n  networks: [192.0.2.0/24, 203.0.113.0/24]\n  plaintext_networks: [192.0.2.200/32]\n  claim_grace: "
	"10s\n"
	"services:\n  - {name: web, address: 203.0.113.10, ports: [{port: 80, target: 8080}], identity: "
	"spiffe://cluster.local/web}\n"
	"entries:\n  - {address: 192.0.2.66, identity: spiffe://cluster.local/fixed}\n"
	"  - {address: 192.0.2.67, identity: spiffe://cluster.local/istio, transport: istio_tls}\n";

static void on_change(void *arg, const struct ip_addr *ip)
{
	struct world *world = arg;
	char text[ADDR_TEXT_MAX];
	world->num_changes++;
	world->num_service_changes += ip != NULL && strcmp(ip_addr_format(ip, text), "203.0.113.10") == 0;
}

static void on_freed(void *arg, const struct ip_addr *ip)
{
	(void)ip;
	((struct world *)arg)->num_freed++;
}

void world_open(struct world *world)
{
	assert_int_equal(store_open(world->loop, world->path, &world->store, NULL), ERR_NONE);
	world->registry = registry_new(
		world->loop, world->store, world->config, &(struct registry_observer){on_change, on_freed, world});
}

int world_set_up(void **state)
{
	struct world *world = mem_new(struct world);
	clock_fake_init(&world->clock, 1900000000000);
	world->loop = loop_new(&world->clock.clock);
	snprintf(world->folder, sizeof(world->folder), "/tmp/registry.XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->path, sizeof(world->path), "%s/store", world->folder);
	struct settings *settings = settings_new(&control_settings);
	settings_read_text(settings, "test.yaml", span_of_str(yaml));
	assert_int_equal(control_config_read(settings, &world->config), ERR_NONE);
	settings_free(settings);
	world_open(world);
	*state = world;
	return 0;
}

void world_close(struct world *world)
{
	registry_free(world->registry);
	store_close(world->store);
	loop_run_once(world->loop, false);
}

int world_tear_down(void **state)
{
	struct world *world = *state;
	char command[96];
	world_close(world);
	loop_free(world->loop);
	control_config_free(world->config);
	snprintf(command, sizeof(command), "rm -r %s", world->folder);
	assert_int_equal(system(command), 0);
	mem_free(world);
	return 0;
}

void world_on_claimed(void *arg, enum err err, const struct why *why)
{
	struct world *world = arg;
	world->num_answers++;
	world->last = err;
	world->detail = *why;
}

struct ip_addr world_ip(const char *text)
{
	struct ip_addr ip;
	assert_int_equal(ip_addr_parse(span_of_str(text), &ip), ERR_NONE);
	return ip;
}

struct spiffe_id world_id(const char *text)
{
	struct spiffe_id id = {0};
	assert_int_equal(spiffe_id_parse(span_of_str(text), &id, NULL), ERR_NONE);
	return id;
}

void world_settle(struct world *world, unsigned answers)
{
	(void)WAIT_UNTIL(world->num_answers >= answers, loop_run_once(world->loop, false));
	assert_int_equal(world->num_answers, answers);
}

enum err world_claim(struct world *world, const char *id_text, const char *ip_text)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = world_id(id_text);
	struct ip_addr ip = world_ip(ip_text);
	unsigned before = world->num_answers;
	registry_claim(world->registry, &id, &ip, world->key_hash, world_on_claimed, world);
	assert_int_equal(world->num_answers, before);
	world_settle(world, before + 1);
	return world->last;
}

void world_claim_two(struct world *world)
{
	assert_int_equal(world_claim(world, WEB, "192.0.2.1"), ERR_NONE);
	assert_int_equal(world_claim(world, WEB, "192.0.2.2"), ERR_NONE);
}

void world_gone(struct world *world, const char *id_text, const char *ip_text)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = world_id(id_text);
	struct ip_addr ip = world_ip(ip_text);
	registry_stream_closed(world->registry, &id, &ip);
}

void world_zone(struct world *world, const char *id_text, const char *ip_text, uint32_t zone)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = world_id(id_text);
	struct ip_addr ip = world_ip(ip_text);
	registry_set_zone(world->registry, &id, &ip, zone);
}

void world_drain(struct world *world, const char *id_text, const char *ip_text, bool is_draining)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = world_id(id_text);
	struct ip_addr ip = world_ip(ip_text);
	registry_set_draining(world->registry, &id, &ip, is_draining);
}

void world_pass(struct world *world, uint64_t ms)
{
	clock_fake_advance(&world->clock, ms);
	loop_run_once(world->loop, false);
}

struct resolution world_resolve(struct world *world, const char *text)
{
	struct addr addr;
	struct resolution resolution;
	assert_int_equal(addr_parse(span_of_str(text), &addr), ERR_NONE);
	registry_resolve(world->registry, &addr, &resolution);
	return resolution;
}

size_t world_web_endpoints(struct world *world)
{
	return world_resolve(world, WEB_SERVICE).num_endpoints;
}
