#include "control/distribute/encode.h"

#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "proto/handfast/v1/discovery.pb-c.h"
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct control_config *config_of(const char *yaml)
{
	struct control_config *config = NULL;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	settings_read_text(settings, "test.yaml", span_of_str(yaml));
	assert_int_equal(control_config_read(settings, &config), ERR_NONE);
	return config;
}

static const Handfast__V1__DiscoveryDown *unpacked(struct buf *wire, struct pb_arena **arena)
{
	ProtobufCMessage *message;
	assert_int_equal(
		pb_unpack(&handfast__v1__discovery_down__descriptor, buf_span(wire), arena, &message, NULL), ERR_NONE);
	return (const Handfast__V1__DiscoveryDown *)(const void *)message;
}

static const char yaml[] =
	"mesh: {networks: [192.0.2.0/24, \"2001:db8::/32\"], require_mtls_networks: [192.0.2.0/25]}\n"
	"policy:\n  default_mode: permissive\n  workloads:\n"
	"    - identity: spiffe://cluster.local/ns/shop/sa/web\n      ports: [{port: 80, mode: strict}]\n"
	"      rules: [{name: a, sources: [{id: \"spiffe://cluster.local/x\"}], ports: [80], networks: "
	"[192.0.2.0/30]}]\n"
	"    - identity_prefix: spiffe://cluster.local/ns/shop\n      default_mode: strict\n"
	"      rules: [{name: b, action: deny, sources: [{namespace: cluster.local/bad}], dry_run: true}]\n"
	"    - identity: spiffe://cluster.local/ns/shopping\n      default_mode: 'off'\n";

static const Handfast__V1__MeshState *mesh_of(const char *id_text, struct buf *wire, struct pb_arena **arena)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	_cleanup_(control_config_freep) struct control_config *config = config_of(yaml);
	assert_int_equal(spiffe_id_parse(span_of_str(id_text), &id, NULL), ERR_NONE);
	assert_int_equal(
		encode_mesh_state(&(struct mesh_state){.config = config, .id = &id, .version = 7}, wire), ERR_NONE);
	const Handfast__V1__DiscoveryDown *down = unpacked(wire, arena);
	assert_int_equal(down->kind_case, HANDFAST__V1__DISCOVERY_DOWN__KIND_MESH);
	return down->mesh;
}

static void without_networks_the_mesh_covers_every_address(void **state)
{
	(void)state;
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	_cleanup_(control_config_freep) struct control_config *config = config_of(yaml);
	_cleanup_(buf_done) struct buf wire = BUF_INIT(65536);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	config->num_networks = 0;
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://cluster.local/web"), &id, NULL), ERR_NONE);
	assert_int_equal(
		encode_mesh_state(&(struct mesh_state){.config = config, .id = &id, .version = 7}, &wire), ERR_NONE);
	const Handfast__V1__MeshState *mesh = unpacked(&wire, &arena)->mesh;
	assert_int_equal(mesh->n_networks, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(mesh->networks[i]->prefix_len, 0);
		assert_int_equal(mesh->networks[i]->address.len, i == 0 ? 4 : 16);
	}
}

static void C2_a_workload_gets_the_policy_that_names_it_and_no_other(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf wire = BUF_INIT(65536);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	const Handfast__V1__MeshState *mesh = mesh_of("spiffe://cluster.local/ns/shop/sa/web", &wire, &arena);
	assert_int_equal(mesh->version, 7);
	assert_int_equal(mesh->n_networks, 2);
	assert_int_equal(mesh->networks[1]->prefix_len, 32);
	assert_int_equal(mesh->networks[1]->address.len, 16);
	assert_int_equal(mesh->n_require_mtls_networks, 1);
	assert_int_equal(mesh->policy->default_mode, HANDFAST__V1__INBOUND_MODE__INBOUND_MODE_STRICT);
	assert_int_equal(mesh->policy->n_rules, 2);
	assert_true(span_eq(pb_span(mesh->policy->rules[0]->name), SPAN_LITERAL("a")));
	assert_int_equal(mesh->policy->rules[0]->ports[0], 80);
	assert_int_equal(mesh->policy->rules[0]->n_networks, 1);
	assert_int_equal(mesh->policy->rules[1]->action, HANDFAST__V1__RULE_ACTION__RULE_ACTION_DENY);
	assert_true(mesh->policy->rules[1]->dry_run);
	assert_int_equal(mesh->policy->n_ports, 1);
}

static void a_prefix_matches_whole_segments(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf wire = BUF_INIT(65536);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	const Handfast__V1__MeshState *mesh = mesh_of("spiffe://cluster.local/ns/shopping", &wire, &arena);
	assert_int_equal(mesh->policy->default_mode, HANDFAST__V1__INBOUND_MODE__INBOUND_MODE_OFF);
	assert_int_equal(mesh->policy->n_rules, 0);
}

static enum port_mode mode_of(Handfast__V1__InboundMode mode)
{
	return mode == HANDFAST__V1__INBOUND_MODE__INBOUND_MODE_STRICT       ? PORT_MODE_STRICT
	       : mode == HANDFAST__V1__INBOUND_MODE__INBOUND_MODE_PERMISSIVE ? PORT_MODE_PERMISSIVE
									     : PORT_MODE_OFF;
}

/* The mode of a port as a sidecar makes it of the message: of several the strictest one. */
static enum port_mode port_of(const Handfast__V1__Policy *policy, uint32_t port)
{
	enum port_mode mode = PORT_MODE_OFF;
	bool is_found = false;
	for (size_t i = 0; i < policy->n_ports; i++)
		if (policy->ports[i]->port == port) {
			mode = mode_of(policy->ports[i]->mode) > mode ? mode_of(policy->ports[i]->mode) : mode;
			is_found = true;
		}
	return is_found ? mode : mode_of(policy->default_mode);
}

static const Handfast__V1__Policy *merged(
	const char *settings, const struct policy_found *found, struct buf *wire, struct pb_arena **arena)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	_cleanup_(control_config_freep) struct control_config *config = config_of(settings);
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://cluster.local/ns/shop/sa/web"), &id, NULL), ERR_NONE);
	const struct mesh_state state = {config, found, &id, 7};
	assert_int_equal(encode_mesh_state(&state, wire), ERR_NONE);
	return unpacked(wire, arena)->mesh->policy;
}

#define WORKLOAD(more)                                                                                                 \
	"mesh: {networks: [192.0.2.0/24]}\npolicy:\n  default_mode: strict\n  workloads:\n"                            \
	"    - identity: spiffe://cluster.local/ns/shop/sa/web\n" more

static struct config_port_mode first_ports[] = {{80, PORT_MODE_STRICT}, {81, PORT_MODE_OFF}};
static struct config_port_mode second_ports[] = {{80, PORT_MODE_OFF}, {82, PORT_MODE_PERMISSIVE}};
static struct config_rule rules[] = {{.name = "x/y", .deny = true}};
static const struct config_workload first = {.ports = first_ports, .num_ports = 2, .rules = rules, .num_rules = 1};
static const struct config_workload second = {
	.has_mode = true, .mode = PORT_MODE_OFF, .ports = second_ports, .num_ports = 2};
static const struct config_workload third = {.has_mode = true, .mode = PORT_MODE_PERMISSIVE};
static const struct policy_found all_found = {{&first, &second, &third}, 3};

static void of_the_policies_that_are_found_the_first_mode_applies_and_rules_add_up(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf wire = BUF_INIT(65536);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	const Handfast__V1__Policy *policy =
		merged(WORKLOAD("      rules: [{name: a, ports: [80]}]\n"), &all_found, &wire, &arena);
	assert_int_equal(mode_of(policy->default_mode), PORT_MODE_OFF);
	assert_int_equal(port_of(policy, 80), PORT_MODE_STRICT);
	assert_int_equal(port_of(policy, 81), PORT_MODE_OFF);
	assert_int_equal(port_of(policy, 82), PORT_MODE_PERMISSIVE);
	assert_int_equal(policy->n_rules, 2);
	assert_true(span_eq(pb_span(policy->rules[1]->name), SPAN_LITERAL("x/y")));
}

static void K15_what_is_found_cannot_loosen_the_settings_of_the_workload(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf wire = BUF_INIT(65536);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	const Handfast__V1__Policy *policy =
		merged(WORKLOAD("      default_mode: permissive\n      ports: [{port: 82, mode: strict}]\n"),
			&all_found, &wire, &arena);
	assert_int_equal(mode_of(policy->default_mode), PORT_MODE_PERMISSIVE);
	assert_int_equal(port_of(policy, 80), PORT_MODE_STRICT);
	assert_int_equal(port_of(policy, 81), PORT_MODE_PERMISSIVE);
	assert_int_equal(port_of(policy, 82), PORT_MODE_STRICT);
}

static void finding_p14_answers_have_addresses_identities_and_draining_endpoints(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf wire = BUF_INIT(65536);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	struct resolution resolution = {
		.kind = RESOLVED_MESHED, .service = "web", .affinity_s = 60, .num_endpoints = 1, .num_draining = 1};
	struct addr destination;
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://cluster.local/web"), &id, NULL), ERR_NONE);
	assert_int_equal(addr_parse(SPAN_LITERAL("192.0.2.9:80"), &destination), ERR_NONE);
	assert_int_equal(addr_parse(SPAN_LITERAL("192.0.2.1:8080"), &resolution.endpoints[0].address), ERR_NONE);
	assert_int_equal(addr_parse(SPAN_LITERAL("192.0.2.2:8080"), &resolution.endpoints[1].address), ERR_NONE);
	resolution.endpoints[0].id = resolution.endpoints[1].id = &id;
	resolution.endpoints[0].zones[0] = 7;
	resolution.endpoints[0].zones[1] = 8;
	resolution.endpoints[1].is_istio_tls = true;
	assert_int_equal(encode_answer(&destination, &resolution, (struct answer_mark){.version = 3}, &wire), ERR_NONE);
	const Handfast__V1__Answer *answer = unpacked(&wire, &arena)->answers->answers[0];
	assert_int_equal(answer->version, 3);
	assert_int_equal(answer->destination->port, 80);
	assert_int_equal(answer->kind_case, HANDFAST__V1__ANSWER__KIND_MESHED);
	assert_int_equal(answer->meshed->endpoints[0]->address->port, 8080);
	assert_true(span_eq(pb_span(answer->meshed->endpoints[0]->id), spiffe_id_text(&id)));
	assert_int_equal(answer->meshed->n_endpoints, 1);
	assert_int_equal(answer->meshed->endpoints[0]->n_zones, 2);
	assert_int_equal(answer->meshed->endpoints[0]->zones[1], 8);
	assert_int_equal(answer->meshed->n_draining_endpoints, 1);
	assert_int_equal(answer->meshed->draining_endpoints[0]->n_zones, 0);
	assert_int_equal(answer->meshed->affinity_s, 60);
	assert_int_equal(answer->meshed->draining_endpoints[0]->address->ip.data[3], 2);
	assert_int_equal(answer->meshed->endpoints[0]->transport, 0);
	assert_int_equal(answer->meshed->draining_endpoints[0]->transport, 1);
}

static enum err parse_subscribe(size_t ip_len, uint32_t port, size_t num)
{
	_cleanup_(buf_done) struct buf wire = BUF_INIT(1024 * 1024);
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__Subscribe subscribe = HANDFAST__V1__SUBSCRIBE__INIT;
	Handfast__V1__SocketAddress address = HANDFAST__V1__SOCKET_ADDRESS__INIT, *list[2000];
	uint8_t bytes[32] = {192, 0, 2, 1};
	struct discovery_up parsed = {0};
	struct why why = {0};
	address.ip = (ProtobufCBinaryData){.len = ip_len, .data = bytes};
	address.port = port;
	for (size_t i = 0; i < num; i++)
		list[i] = &address;
	subscribe.destinations = list;
	subscribe.n_destinations = num;
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_SUBSCRIBE;
	up.subscribe = &subscribe;
	assert_int_equal(pb_pack(&up.base, &wire), ERR_NONE);
	enum err err = discovery_up_parse(buf_span(&wire), &parsed, &why);
	assert_int_equal(err == ERR_NONE, parsed.num_destinations == num && num > 0);
	discovery_up_done(&parsed);
	return err;
}

static enum err parse_known(size_t digest_len, size_t num)
{
	_cleanup_(buf_done) struct buf wire = BUF_INIT(4096);
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__Subscribe subscribe = HANDFAST__V1__SUBSCRIBE__INIT;
	Handfast__V1__SocketAddress address = HANDFAST__V1__SOCKET_ADDRESS__INIT, *list[] = {&address, &address};
	uint8_t ip[4] = {192, 0, 2, 1}, bytes[32] = {7};
	ProtobufCBinaryData digests[3] = {{0}, pb_bytes(span_of(bytes, digest_len)), {0}};
	struct discovery_up parsed = {0};
	struct why why = {0};
	address.ip = pb_bytes(span_of(ip, sizeof ip));
	address.port = 80;
	subscribe.destinations = list;
	subscribe.n_destinations = 2;
	subscribe.known = digests;
	subscribe.n_known = num;
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_SUBSCRIBE;
	up.subscribe = &subscribe;
	assert_int_equal(pb_pack(&up.base, &wire), ERR_NONE);
	enum err err = discovery_up_parse(buf_span(&wire), &parsed, &why);
	if (err == ERR_NONE && num > 0) {
		assert_int_equal(parsed.known[0], 0);
		assert_int_equal(parsed.known[ANSWER_DIGEST_LEN], 7);
	}
	discovery_up_done(&parsed);
	return err;
}

static void digests_of_known_answers_are_checked(void **state)
{
	(void)state;
	assert_int_equal(parse_known(16, 0), ERR_NONE);
	assert_int_equal(parse_known(16, 2), ERR_NONE);
	assert_int_equal(parse_known(16, 1), ERR_MALFORMED);
	assert_int_equal(parse_known(16, 3), ERR_MALFORMED);
	assert_int_equal(parse_known(15, 2), ERR_MALFORMED);
	assert_int_equal(parse_known(32, 2), ERR_MALFORMED);
}

static void subscriptions_are_checked(void **state)
{
	(void)state;
	assert_int_equal(parse_subscribe(4, 80, 1), ERR_NONE);
	assert_int_equal(parse_subscribe(4, 0, 1), ERR_MALFORMED);
	assert_int_equal(parse_subscribe(4, 65536, 1), ERR_MALFORMED);
	assert_int_equal(parse_subscribe(5, 80, 1), ERR_MALFORMED);
	assert_int_equal(parse_subscribe(4, 80, 0), ERR_TOO_LARGE);
	assert_int_equal(parse_subscribe(4, 80, 1025), ERR_TOO_LARGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_networks_the_mesh_covers_every_address),
		cmocka_unit_test(C2_a_workload_gets_the_policy_that_names_it_and_no_other),
		cmocka_unit_test(a_prefix_matches_whole_segments),
		cmocka_unit_test(of_the_policies_that_are_found_the_first_mode_applies_and_rules_add_up),
		cmocka_unit_test(K15_what_is_found_cannot_loosen_the_settings_of_the_workload),
		cmocka_unit_test(finding_p14_answers_have_addresses_identities_and_draining_endpoints),
		cmocka_unit_test(digests_of_known_answers_are_checked),
		cmocka_unit_test(subscriptions_are_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
