/* The answer for a destination: the endpoints of a service, plaintext, or unknown. */
#include "base/settings/settings.h"
#include "control/registry/test_registry.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void a_service_has_the_live_addresses_of_its_identity(void **state)
{
	struct world *world = *state;
	assert_int_equal(world_resolve(world, WEB_SERVICE).kind, RESOLVED_MESHED);
	assert_int_equal(world_web_endpoints(world), 0);
	world_claim_two(world);
	assert_int_equal(world_claim(world, "spiffe://cluster.local/db", "192.0.2.3"), ERR_NONE);
	struct resolution found = world_resolve(world, WEB_SERVICE);
	assert_int_equal(found.num_endpoints, 2);
	assert_int_equal(found.endpoints[0].address.port, 8080);
	world_gone(world, WEB, "192.0.2.1");
	world_pass(world, 3000);
	assert_int_equal(world_web_endpoints(world), 1);
	world_gone(world, WEB, "192.0.2.2");
	world_pass(world, 3000);
	assert_int_equal(world_web_endpoints(world), 2);
	assert_int_equal(world_resolve(world, "203.0.113.10:81").kind, RESOLVED_UNKNOWN);
}

static void a_service_has_at_most_1024_endpoints_and_reports_when_there_are_more(void **state)
{
	static const char wide[] = "mesh: {networks: ['2001:db8::/32']}\nservices:\n  - {name: web, address: "
				   "'2001:db8:2::1', ports: [{port: 80, target: 8080}], identity: "
				   "spiffe://cluster.local/web}\n";
	struct world *world = *state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	struct control_config *config = NULL;
	char ip[32];
	settings_read_text(settings, "test.yaml", span_of_str(wide));
	assert_int_equal(control_config_read(settings, &config), ERR_NONE);
	registry_set_config(world->registry, config);
	for (unsigned i = 0; i <= RESOLUTION_ENDPOINTS_MAX; i++) {
		_cleanup_(spiffe_id_done) struct spiffe_id id = world_id(WEB);
		snprintf(ip, sizeof(ip), "2001:db8:1::%x", i + 1);
		struct ip_addr at = world_ip(ip);
		memcpy(world->key_hash, &i, sizeof(i));
		registry_claim(world->registry, &id, &at, world->key_hash, world_on_claimed, world);
	}
	world_settle(world, RESOLUTION_ENDPOINTS_MAX + 1);
	struct resolution found = world_resolve(world, "[2001:db8:2::1]:80");
	assert_int_equal(found.num_endpoints, RESOLUTION_ENDPOINTS_MAX);
	assert_true(found.is_cut);
	registry_set_config(world->registry, world->config);
	control_config_free(config);
}

static void a_destination_is_plaintext_only_by_a_setting(void **state)
{
	struct world *world = *state;
	assert_int_equal(world_resolve(world, "192.0.2.200:80").kind, RESOLVED_PLAIN);
	assert_int_equal(world_resolve(world, "198.51.100.1:80").kind, RESOLVED_PLAIN);
	assert_int_equal(world_resolve(world, "192.0.2.77:80").kind, RESOLVED_UNKNOWN);
}

struct source {
	struct spiffe_id id;
	enum resolution_kind kind;
	bool is_known, has_endpoint;
};

static bool source_resolve(void *arg, const struct addr *destination, struct resolution *out)
{
	const struct source *source = arg;
	out->kind = source->is_known ? source->kind : RESOLVED_UNKNOWN;
	if (source->is_known && source->has_endpoint) {
		out->endpoints[0].address = *destination;
		out->endpoints[0].id = &source->id;
		out->num_endpoints = 1;
	}
	return source->is_known;
}

static void a_source_is_asked_after_the_settings_and_outranks_a_claim(void **state)
{
	struct world *world = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id id = world_id(THIEF);
	struct source source = {.id = id, .kind = RESOLVED_PLAIN, .is_known = true};
	world_claim_two(world);
	world->num_changes = 0;
	registry_set_source(world->registry, &(struct registry_source){.resolve = source_resolve, .arg = &source});
	assert_int_equal(world->num_changes, 1);
	assert_int_equal(world_resolve(world, WEB_SERVICE).kind, RESOLVED_MESHED);
	assert_int_equal(world_resolve(world, "192.0.2.200:80").kind, RESOLVED_PLAIN);
	assert_int_equal(world_resolve(world, "192.0.2.1:80").kind, RESOLVED_PLAIN);
	source.kind = RESOLVED_MESHED;
	source.has_endpoint = true;
	assert_string_equal(world_resolve(world, "192.0.2.1:80").endpoints[0].id->text, THIEF);
}

static void a_claim_answers_where_a_source_has_no_endpoint(void **state)
{
	struct world *world = *state;
	struct source source = {.kind = RESOLVED_UNKNOWN, .is_known = true};
	registry_set_source(world->registry, &(struct registry_source){.resolve = source_resolve, .arg = &source});
	world_claim_two(world);
	assert_string_equal(world_resolve(world, "192.0.2.1:80").endpoints[0].id->text, WEB);
	source.kind = RESOLVED_MESHED;
	assert_string_equal(world_resolve(world, "192.0.2.1:80").endpoints[0].id->text, WEB);
	assert_int_equal(world_resolve(world, "192.0.2.77:80").kind, RESOLVED_MESHED);
	assert_int_equal(world_resolve(world, "192.0.2.77:80").num_endpoints, 0);
	source.is_known = false;
	assert_int_equal(world_resolve(world, "192.0.2.77:80").kind, RESOLVED_UNKNOWN);
	world->num_changes = 0;
	registry_source_changed(world->registry, NULL);
	assert_int_equal(world->num_changes, 1);
}

static void without_mesh_networks_what_nothing_knows_is_plaintext(void **state)
{
	struct world *world = *state;
	struct source source = {.kind = RESOLVED_UNKNOWN, .is_known = true};
	size_t num = world->config->num_networks;
	registry_set_source(world->registry, &(struct registry_source){.resolve = source_resolve, .arg = &source});
	world->config->num_networks = 0;
	assert_int_equal(world_resolve(world, "198.51.100.1:80").kind, RESOLVED_UNKNOWN); /* not synced */
	source.is_known = false;
	assert_int_equal(world_resolve(world, "198.51.100.1:80").kind, RESOLVED_PLAIN);
	assert_string_equal(
		world_resolve(world, "198.51.100.1:80").reason, "no pod and no Service of this cluster has it");
	assert_int_equal(world_claim(world, THIEF, "198.51.100.1"), ERR_NONE);
	assert_int_equal(world_resolve(world, "198.51.100.1:80").kind, RESOLVED_MESHED);
	world->config->num_networks = num;
}

static bool source_service_address(void *arg, const char *name, struct ip_addr *out)
{
	(void)arg;
	*out = (struct ip_addr){.family = AF_INET, .bytes = {192, 0, 2, 9}};
	return strcmp(name, "shop/db") == 0;
}

static void a_service_has_an_address_by_its_name(void **state)
{
	struct world *world = *state;
	struct ip_addr ip;
	char text[ADDR_TEXT_MAX];
	assert_false(registry_service_address(world->registry, "shop/db", &ip));
	assert_true(registry_service_address(world->registry, "web", &ip));
	assert_string_equal(ip_addr_format(&ip, text), "203.0.113.10");
	registry_set_source(world->registry, &(struct registry_source){.service_address = source_service_address});
	assert_true(registry_service_address(world->registry, "shop/db", &ip));
	assert_string_equal(ip_addr_format(&ip, text), "192.0.2.9");
	assert_false(registry_service_address(world->registry, "db", &ip));
	registry_set_source(world->registry, &(struct registry_source){0});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_service_has_the_live_addresses_of_its_identity),
		WORLD_TEST(a_service_has_an_address_by_its_name),
		WORLD_TEST(a_service_has_at_most_1024_endpoints_and_reports_when_there_are_more),
		WORLD_TEST(a_destination_is_plaintext_only_by_a_setting),
		WORLD_TEST(a_source_is_asked_after_the_settings_and_outranks_a_claim),
		WORLD_TEST(a_claim_answers_where_a_source_has_no_endpoint),
		WORLD_TEST(without_mesh_networks_what_nothing_knows_is_plaintext),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
