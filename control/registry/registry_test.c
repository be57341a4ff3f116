#include "control/registry/registry.h"

#include "base/core/mem.h"
#include "base/core/test_wait.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char yaml[] =
	"mesh:\n  networks: [192.0.2.0/24, 203.0.113.0/24]\n  plaintext_networks: [192.0.2.200/32]\n  claim_grace: "
	"10s\n"
	"services:\n  - {name: web, address: 203.0.113.10, ports: [{port: 80, target: 8080}], identity: "
	"spiffe://cluster.local/web}\n"
	"entries:\n  - {address: 192.0.2.66, identity: spiffe://cluster.local/fixed}\n";

struct world {
	struct clock_fake clock;
	struct loop *loop;
	struct store *store;
	struct control_config *config;
	struct registry *registry;
	unsigned num_changes, num_service_changes, num_freed, num_answers;
	uint8_t key_hash[DIGEST_LEN];
	enum err last;
	struct why why;
	char folder[32], path[64];
};

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

static void registry_open(struct world *world)
{
	assert_int_equal(store_open(world->loop, world->path, &world->store, NULL), ERR_NONE);
	world->registry = registry_new(
		world->loop, world->store, world->config, &(struct registry_observer){on_change, on_freed, world});
}

static int set_up(void **state)
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
	registry_open(world);
	*state = world;
	return 0;
}

static void registry_close(struct world *world)
{
	registry_free(world->registry);
	store_close(world->store);
	loop_run_once(world->loop, false);
}

static int tear_down(void **state)
{
	struct world *world = *state;
	char command[96];
	registry_close(world);
	loop_free(world->loop);
	control_config_free(world->config);
	snprintf(command, sizeof(command), "rm -r %s", world->folder);
	assert_int_equal(system(command), 0);
	mem_free(world);
	return 0;
}

static void on_claimed(void *arg, enum err err, const struct why *why)
{
	struct world *world = arg;
	world->num_answers++;
	world->last = err;
	world->why = *why;
}

static struct ip_addr ip_of(const char *text)
{
	struct ip_addr ip;
	assert_int_equal(ip_addr_parse(span_of_str(text), &ip), ERR_NONE);
	return ip;
}

static struct spiffe_id id_of(const char *text)
{
	struct spiffe_id id = {0};
	assert_int_equal(spiffe_id_parse(span_of_str(text), &id, NULL), ERR_NONE);
	return id;
}

static void settle(struct world *world, unsigned answers)
{
	(void)WAIT_UNTIL(world->num_answers >= answers, loop_run_once(world->loop, false));
	assert_int_equal(world->num_answers, answers);
}

static enum err claim(struct world *world, const char *id_text, const char *ip_text)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = id_of(id_text);
	struct ip_addr ip = ip_of(ip_text);
	unsigned before = world->num_answers;
	registry_claim(world->registry, &id, &ip, world->key_hash, on_claimed, world);
	assert_int_equal(world->num_answers, before);
	settle(world, before + 1);
	return world->last;
}

static void gone(struct world *world, const char *id_text, const char *ip_text)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = id_of(id_text);
	struct ip_addr ip = ip_of(ip_text);
	registry_stream_closed(world->registry, &id, &ip);
}

static void drain(struct world *world, const char *id_text, const char *ip_text, bool is_draining)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = id_of(id_text);
	struct ip_addr ip = ip_of(ip_text);
	registry_set_draining(world->registry, &id, &ip, is_draining);
}

/* Timers that are due within this time are called. */
static void pass(struct world *world, uint64_t ms)
{
	clock_fake_advance(&world->clock, ms);
	loop_run_once(world->loop, false);
}

static struct resolution resolve(struct world *world, const char *text)
{
	struct addr addr;
	struct resolution resolution;
	assert_int_equal(addr_parse(span_of_str(text), &addr), ERR_NONE);
	registry_resolve(world->registry, &addr, &resolution);
	return resolution;
}

static void the_first_identity_to_claim_an_address_keeps_it(void **state)
{
	struct world *world = *state;
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.1"), ERR_NONE);
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.1"), ERR_NONE);
	assert_int_equal(claim(world, "spiffe://cluster.local/thief", "192.0.2.1"), ERR_DENIED);
	assert_non_null(strstr(world->why.got, "held by spiffe://cluster.local/web"));
	struct resolution found = resolve(world, "192.0.2.1:9000");
	assert_int_equal(found.kind, RESOLVED_MESHED);
	assert_int_equal(found.num_endpoints, 1);
	assert_string_equal(found.endpoints[0].id->text, "spiffe://cluster.local/web");
	assert_int_equal(found.endpoints[0].address.port, 9000);
}

static void two_claims_at_once_have_one_winner(void **state)
{
	struct world *world = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id a = id_of("spiffe://cluster.local/a"),
						   b = id_of("spiffe://cluster.local/b");
	struct ip_addr ip = ip_of("192.0.2.2");
	registry_claim(world->registry, &a, &ip, world->key_hash, on_claimed, world);
	registry_claim(world->registry, &b, &ip, world->key_hash, on_claimed, world);
	settle(world, 2);
	assert_int_equal(world->last, ERR_DENIED);
	assert_string_equal(resolve(world, "192.0.2.2:1").endpoints[0].id->text, "spiffe://cluster.local/a");
	spiffe_id_done(&b);
}

static void an_address_stays_meshed_without_its_stream_and_after_a_restart(void **state)
{
	struct world *world = *state;
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.1"), ERR_NONE);
	gone(world, "spiffe://cluster.local/web", "192.0.2.1");
	registry_close(world);
	registry_open(world);
	assert_int_equal(resolve(world, "192.0.2.1:80").kind, RESOLVED_MESHED);
	assert_int_equal(claim(world, "spiffe://cluster.local/thief", "192.0.2.1"), ERR_DENIED);
}

static void a_long_absence_ends_the_claim_and_never_yields_plaintext(void **state)
{
	struct world *world = *state;
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.1"), ERR_NONE);
	gone(world, "spiffe://cluster.local/web", "192.0.2.1");
	assert_true(WAIT_UNTIL(resolve(world, "192.0.2.1:80").kind == RESOLVED_UNKNOWN, pass(world, 50)));
	assert_int_equal(claim(world, "spiffe://cluster.local/next", "192.0.2.1"), ERR_NONE);
	assert_string_equal(resolve(world, "192.0.2.1:80").endpoints[0].id->text, "spiffe://cluster.local/next");
}

static void a_service_has_the_live_addresses_of_its_identity(void **state)
{
	struct world *world = *state;
	assert_int_equal(resolve(world, "203.0.113.10:80").kind, RESOLVED_MESHED);
	assert_int_equal(resolve(world, "203.0.113.10:80").num_endpoints, 0);
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.1"), ERR_NONE);
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.2"), ERR_NONE);
	assert_int_equal(claim(world, "spiffe://cluster.local/db", "192.0.2.3"), ERR_NONE);
	struct resolution found = resolve(world, "203.0.113.10:80");
	assert_int_equal(found.num_endpoints, 2);
	assert_int_equal(found.endpoints[0].address.port, 8080);
	gone(world, "spiffe://cluster.local/web", "192.0.2.1");
	pass(world, 3000);
	assert_int_equal(resolve(world, "203.0.113.10:80").num_endpoints, 1);
	gone(world, "spiffe://cluster.local/web", "192.0.2.2");
	pass(world, 3000);
	assert_int_equal(resolve(world, "203.0.113.10:80").num_endpoints, 2);
	assert_int_equal(resolve(world, "203.0.113.10:81").kind, RESOLVED_UNKNOWN);
}

static void finding_p14_a_draining_endpoint_leaves_its_service_and_keeps_its_claim(void **state)
{
	struct world *world = *state;
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.1"), ERR_NONE);
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.2"), ERR_NONE);
	unsigned before = world->num_service_changes;
	drain(world, "spiffe://cluster.local/web", "192.0.2.1", true);
	assert_int_equal(world->num_service_changes, before + 1);
	struct resolution found = resolve(world, "203.0.113.10:80");
	assert_int_equal(found.num_endpoints, 1);
	assert_int_equal(found.endpoints[0].address.ip.bytes[3], 2);
	assert_int_equal(found.num_draining, 1);
	assert_int_equal(found.endpoints[1].address.ip.bytes[3], 1);
	/* By its own address it is still reachable, and no other identity can claim it. */
	assert_int_equal(resolve(world, "192.0.2.1:80").num_endpoints, 1);
	assert_int_equal(claim(world, "spiffe://cluster.local/thief", "192.0.2.1"), ERR_DENIED);
	/* Its stream closes: an endpoint that drained does not linger. The next sidecar there does not drain. */
	gone(world, "spiffe://cluster.local/web", "192.0.2.1");
	assert_int_equal(resolve(world, "203.0.113.10:80").num_endpoints, 1);
	drain(world, "spiffe://cluster.local/web", "192.0.2.1", false);
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.1"), ERR_NONE);
	assert_int_equal(resolve(world, "203.0.113.10:80").num_endpoints, 2);
	assert_int_equal(resolve(world, "203.0.113.10:80").num_draining, 0);
}

static void finding_p14_the_only_endpoint_stays_the_answer_while_it_drains(void **state)
{
	struct world *world = *state;
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.1"), ERR_NONE);
	drain(world, "spiffe://cluster.local/thief", "192.0.2.1", true); /* not the owner */
	assert_int_equal(resolve(world, "203.0.113.10:80").num_endpoints, 1);
	drain(world, "spiffe://cluster.local/web", "192.0.2.1", true);
	assert_int_equal(resolve(world, "203.0.113.10:80").num_endpoints, 1);
	assert_int_equal(resolve(world, "203.0.113.10:80").num_draining, 0);
	gone(world, "spiffe://cluster.local/web", "192.0.2.1");
	assert_int_equal(resolve(world, "203.0.113.10:80").num_endpoints, 1);
}

static void finding_i15_a_stream_that_comes_back_soon_changes_no_answer(void **state)
{
	struct world *world = *state;
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.1"), ERR_NONE);
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.2"), ERR_NONE);
	unsigned before = world->num_changes;
	gone(world, "spiffe://cluster.local/web", "192.0.2.1");
	pass(world, 1000);
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.1"), ERR_NONE);
	pass(world, 5000);
	assert_int_equal(world->num_changes, before);
	assert_int_equal(resolve(world, "203.0.113.10:80").num_endpoints, 2);
}

static void finding_i15_a_start_keeps_the_endpoints_that_were_there(void **state)
{
	struct world *world = *state;
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.1"), ERR_NONE);
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.2"), ERR_NONE);
	registry_close(world);
	registry_open(world);
	unsigned before = world->num_changes;
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.1"), ERR_NONE);
	assert_int_equal(resolve(world, "203.0.113.10:80").num_endpoints, 2);
	assert_int_equal(world->num_changes, before);
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
		_cleanup_(spiffe_id_done) struct spiffe_id id = id_of("spiffe://cluster.local/web");
		snprintf(ip, sizeof(ip), "2001:db8:1::%x", i + 1);
		struct ip_addr at = ip_of(ip);
		memcpy(world->key_hash, &i, sizeof(i));
		registry_claim(world->registry, &id, &at, world->key_hash, on_claimed, world);
	}
	settle(world, RESOLUTION_ENDPOINTS_MAX + 1);
	struct resolution found = resolve(world, "[2001:db8:2::1]:80");
	assert_int_equal(found.num_endpoints, RESOLUTION_ENDPOINTS_MAX);
	assert_true(found.is_cut);
	registry_set_config(world->registry, world->config);
	control_config_free(config);
}

static void a_destination_is_plaintext_only_by_a_setting(void **state)
{
	struct world *world = *state;
	assert_int_equal(resolve(world, "192.0.2.200:80").kind, RESOLVED_PLAIN);
	assert_int_equal(resolve(world, "198.51.100.1:80").kind, RESOLVED_PLAIN);
	assert_int_equal(resolve(world, "192.0.2.77:80").kind, RESOLVED_UNKNOWN);
}

static void an_entry_outranks_any_claim(void **state)
{
	struct world *world = *state;
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.66"), ERR_DENIED);
	assert_int_equal(claim(world, "spiffe://cluster.local/fixed", "192.0.2.66"), ERR_NONE);
	assert_string_equal(resolve(world, "192.0.2.66:80").endpoints[0].id->text, "spiffe://cluster.local/fixed");
}

static void claims_from_outside_the_mesh_are_refused(void **state)
{
	struct world *world = *state;
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "198.51.100.1"), ERR_DENIED);
	assert_non_null(strstr(world->why.expected, "mesh.networks"));
}

static void finding_p13_reports_an_address_of_a_family_that_the_mesh_omits(void **state)
{
	struct world *world = *state;
	struct spiffe_id id = {0};
	struct ip_addr v4, v6;
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://cluster.local/web"), &id, NULL), ERR_NONE);
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("198.51.100.1"), &v4), ERR_NONE);
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("2001:db8::1"), &v6), ERR_NONE);
	assert_false(registry_note_address(world->registry, &id, &v4));
	assert_true(registry_note_address(world->registry, &id, &v6));
	assert_true(registry_note_address(world->registry, &id, &v6));
	world->config->plaintext_networks[0].base = v6; /* plaintext is meant */
	registry_set_config(world->registry, world->config);
	assert_false(registry_note_address(world->registry, &id, &v6));
	spiffe_id_done(&id);
}

static void finding_l10_an_attestation_key_holds_few_addresses(void **state)
{
	struct world *world = *state;
	char ip[32];
	for (unsigned i = 1; i <= REGISTRY_KEY_CLAIMS_MAX; i++) {
		snprintf(ip, sizeof(ip), "192.0.2.%u", i);
		assert_int_equal(claim(world, "spiffe://cluster.local/web", ip), ERR_NONE);
		gone(world, "spiffe://cluster.local/web", ip); /* its claim stays */
	}
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.100"), ERR_LIMIT);
	assert_non_null(strstr(world->why.fix, "entry release"));
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.3"), ERR_NONE); /* its own */
	/* Another sidecar of the identity, and one of another identity, have limits of their own. */
	world->key_hash[0] = 1;
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.100"), ERR_NONE);
	world->key_hash[0] = 2;
	assert_int_equal(claim(world, "spiffe://cluster.local/db", "192.0.2.101"), ERR_NONE);
}

static void an_abandoned_claim_gets_no_answer_and_leaves_no_live_stream(void **state)
{
	struct world *world = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id web = id_of("spiffe://cluster.local/web");
	struct ip_addr ip = ip_of("192.0.2.1");
	registry_abandon(registry_claim(world->registry, &web, &ip, world->key_hash, on_claimed, world));
	assert_true(WAIT_UNTIL(registry_holds(world->registry, &web, &ip), loop_run_once(world->loop, false)));
	loop_run_once(world->loop, false);
	assert_int_equal(world->num_answers, 0);
	/* The address is owned already and the answer is queued: abandoning it leaves no live stream. */
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.1"), ERR_NONE);
	gone(world, "spiffe://cluster.local/web", "192.0.2.1");
	pass(world, 3000);
	unsigned before = world->num_answers, changes = world->num_service_changes;
	registry_abandon(registry_claim(world->registry, &web, &ip, world->key_hash, on_claimed, world));
	pass(world, 3000);
	assert_int_equal(world->num_answers, before);
	assert_int_equal(world->num_service_changes, changes + 2); /* it came, and left when the linger timer ended */
	/* An attempt that is under way at the end is freed with the registry. */
	ip = ip_of("192.0.2.2");
	(void)registry_claim(world->registry, &web, &ip, world->key_hash, on_claimed, world);
}

static void a_release_is_not_lost_when_the_claim_changes_meanwhile(void **state)
{
	struct world *world = *state;
	struct store_value value;
	struct ip_addr ip = ip_of("192.0.2.1");
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.1"), ERR_NONE);
	assert_true(store_get(world->store, "claim/192.0.2.1", &value));
	store_swap(world->store, "claim/192.0.2.1", value.version, value.bytes, NULL, NULL);
	assert_true(registry_release(world->registry, NULL, &ip, NULL, NULL));
	assert_true(
		WAIT_UNTIL(resolve(world, "192.0.2.1:80").kind == RESOLVED_UNKNOWN, loop_run_once(world->loop, false)));
}

static void release_needs_the_owner_or_an_operator(void **state)
{
	struct world *world = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id web = id_of("spiffe://cluster.local/web"),
						   thief = id_of("spiffe://cluster.local/thief");
	struct ip_addr ip = ip_of("192.0.2.1");
	assert_int_equal(claim(world, "spiffe://cluster.local/web", "192.0.2.1"), ERR_NONE);
	assert_false(registry_release(world->registry, &thief, &ip, NULL, NULL));
	assert_true(registry_holds(world->registry, &web, &ip));
	assert_true(registry_release(world->registry, &web, &ip, NULL, NULL));
	assert_true(
		WAIT_UNTIL(resolve(world, "192.0.2.1:80").kind == RESOLVED_UNKNOWN, loop_run_once(world->loop, false)));
	assert_false(registry_holds(world->registry, &web, &ip));
	assert_int_equal(world->num_freed, 1);
	spiffe_id_done(&thief);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(the_first_identity_to_claim_an_address_keeps_it),
		STORY(two_claims_at_once_have_one_winner),
		STORY(an_address_stays_meshed_without_its_stream_and_after_a_restart),
		STORY(a_long_absence_ends_the_claim_and_never_yields_plaintext),
		STORY(a_service_has_the_live_addresses_of_its_identity),
		STORY(finding_p14_a_draining_endpoint_leaves_its_service_and_keeps_its_claim),
		STORY(finding_p14_the_only_endpoint_stays_the_answer_while_it_drains),
		STORY(finding_i15_a_stream_that_comes_back_soon_changes_no_answer),
		STORY(finding_i15_a_start_keeps_the_endpoints_that_were_there),
		STORY(a_service_has_at_most_1024_endpoints_and_reports_when_there_are_more),
		STORY(a_destination_is_plaintext_only_by_a_setting),
		STORY(an_entry_outranks_any_claim),
		STORY(claims_from_outside_the_mesh_are_refused),
		STORY(finding_p13_reports_an_address_of_a_family_that_the_mesh_omits),
		STORY(finding_l10_an_attestation_key_holds_few_addresses),
		STORY(an_abandoned_claim_gets_no_answer_and_leaves_no_live_stream),
		STORY(a_release_is_not_lost_when_the_claim_changes_meanwhile),
		STORY(release_needs_the_owner_or_an_operator),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
