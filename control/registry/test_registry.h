/* For tests: a registry with a real store and a clock that the test sets; one service and one entry are configured. */
#pragma once

#include "base/core/clock.h"
#include "control/registry/registry.h"

#define WEB         "spiffe://cluster.local/web"
#define THIEF       "spiffe://cluster.local/thief"
#define WEB_SERVICE "203.0.113.10:80" /* the service of WEB */

struct world {
	struct clock_fake clock;
	struct loop *loop;
	struct store *store;
	struct control_config *config;
	struct registry *registry;
	unsigned num_changes, num_service_changes, num_freed, num_answers;
	uint8_t key_hash[DIGEST_LEN];
	enum err last;
	struct why detail;
	char folder[32], path[64];
};

/* Fixtures for cmocka: *state is the world. */
int world_set_up(void **state);
int world_tear_down(void **state);
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

void world_open(struct world *world); /* the store and the registry: with world_close(), a restart */
void world_close(struct world *world);
void world_pass(struct world *world, uint64_t ms); /* timers that are due within this time are called */

struct ip_addr world_ip(const char *text);
struct spiffe_id world_id(const char *text);

void world_on_claimed(void *arg, enum err err, const struct why *why);
void world_settle(struct world *world, unsigned answers); /* until so many claims are answered */
enum err world_claim(struct world *world, const char *id_text, const char *ip_text);
void world_claim_two(struct world *world); /* WEB claims 192.0.2.1 and 192.0.2.2 */
void world_gone(struct world *world, const char *id_text, const char *ip_text);
void world_zone(struct world *world, const char *id_text, const char *ip_text, uint32_t zone);
void world_drain(struct world *world, const char *id_text, const char *ip_text, bool is_draining);

struct resolution world_resolve(struct world *world, const char *text);
size_t world_web_endpoints(struct world *world); /* of WEB_SERVICE */
