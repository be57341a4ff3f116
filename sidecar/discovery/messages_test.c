#include "sidecar/discovery/messages.h"

#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "proto/handfast/v1/discovery.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct mesh_message { /* a valid one, which tests change */
	Handfast__V1__DiscoveryDown down;
	Handfast__V1__MeshState mesh;
	Handfast__V1__Policy policy;
	Handfast__V1__Network network, *networks[1];
	Handfast__V1__Rule rule, *rules[1];
	Handfast__V1__SourceMatch source, *sources[1];
	Handfast__V1__PortMode port, *ports[1];
	uint32_t rule_ports[1];
};

static void mesh_message_init(struct mesh_message *message)
{
	handfast__v1__discovery_down__init(&message->down);
	handfast__v1__mesh_state__init(&message->mesh);
	handfast__v1__policy__init(&message->policy);
	handfast__v1__network__init(&message->network);
	handfast__v1__rule__init(&message->rule);
	handfast__v1__source_match__init(&message->source);
	handfast__v1__port_mode__init(&message->port);
	message->network.address = pb_bytes(SPAN_LITERAL("\xc0\x00\x02\x00"));
	message->network.prefix_len = 24;
	message->networks[0] = &message->network;
	message->source.kind_case = HANDFAST__V1__SOURCE_MATCH__KIND_NAMESPACE;
	message->source.namespace_ = pb_bytes(SPAN_LITERAL("cluster.local/shop"));
	message->sources[0] = &message->source;
	message->rule_ports[0] = 5432;
	message->rule.name = pb_bytes(SPAN_LITERAL("db"));
	message->rule.action = HANDFAST__V1__RULE_ACTION__RULE_ACTION_ALLOW;
	message->rule.sources = message->sources;
	message->rule.n_sources = 1;
	message->rule.ports = message->rule_ports;
	message->rule.n_ports = 1;
	message->rules[0] = &message->rule;
	message->port.port = 80;
	message->port.mode = HANDFAST__V1__INBOUND_MODE__INBOUND_MODE_STRICT;
	message->ports[0] = &message->port;
	message->policy.default_mode = HANDFAST__V1__INBOUND_MODE__INBOUND_MODE_PERMISSIVE;
	message->policy.rules = message->rules;
	message->policy.n_rules = 1;
	message->policy.ports = message->ports;
	message->policy.n_ports = 1;
	message->mesh.version = 9;
	message->mesh.networks = message->networks;
	message->mesh.n_networks = 1;
	message->mesh.policy = &message->policy;
	message->down.kind_case = HANDFAST__V1__DISCOVERY_DOWN__KIND_MESH;
	message->down.mesh = &message->mesh;
}

static enum err parse(const ProtobufCMessage *message, struct discovery_down *out, struct why *why)
{
	_cleanup_(buf_done) struct buf wire = BUF_INIT(1024 * 1024);
	struct trust_domain domain;
	assert_int_equal(trust_domain_parse(SPAN_LITERAL("cluster.local"), &domain, NULL), ERR_NONE);
	assert_int_equal(pb_pack(message, &wire), ERR_NONE);
	return discovery_down_parse(buf_span(&wire), &domain, out, why);
}

static void a_mesh_state_is_parsed_into_networks_and_policy(void **state)
{
	(void)state;
	struct mesh_message message;
	struct discovery_down *down = mem_new(struct discovery_down);
	mesh_message_init(&message);
	assert_int_equal(parse(&message.down.base, down, NULL), ERR_NONE);
	assert_int_equal(down->kind, DISCOVERY_DOWN_MESH);
	assert_int_equal(down->version, 9);
	assert_int_equal(down->networks->num_inside, 1);
	assert_int_equal(policy_mode(down->policy, 80), INBOUND_STRICT);
	assert_int_equal(policy_mode(down->policy, 81), INBOUND_PERMISSIVE);
	assert_string_equal(down->policy->rules[0].name, "db");
	assert_string_equal(down->policy->rules[0].sources[0].path, "shop");
	discovery_down_done(down);
	mem_free(down);
}

static void a_mesh_state_has_the_addresses_of_named_services(void **state)
{
	(void)state;
	struct mesh_message message;
	Handfast__V1__NamedService service = HANDFAST__V1__NAMED_SERVICE__INIT, *list[] = {&service};
	struct discovery_down *down = mem_new(struct discovery_down);
	char text[ADDR_TEXT_MAX];
	mesh_message_init(&message);
	service.name = pb_bytes(SPAN_LITERAL("db"));
	service.ip = pb_bytes(SPAN_LITERAL("\xc0\x00\x02\x09"));
	message.mesh.services = list;
	message.mesh.n_services = 1;
	assert_int_equal(parse(&message.down.base, down, NULL), ERR_NONE);
	const struct ip_addr *ip = mesh_networks_service(down->networks, "db");
	assert_string_equal(ip_addr_format(ip, text), "192.0.2.9");
	assert_null(mesh_networks_service(down->networks, "web"));
	discovery_down_done(down);
	mem_free(down);
}

static void must_refuse(struct mesh_message *message)
{
	struct discovery_down *down = mem_new(struct discovery_down);
	struct why why = {0};
	assert_int_not_equal(parse(&message->down.base, down, &why), ERR_NONE);
	assert_true(why.expected[0] != '\0');
	assert_null(down->policy);
	assert_null(down->networks);
	mem_free(down);
	mesh_message_init(message);
}

static void c14_a_mesh_state_with_one_wrong_part_is_refused_as_a_whole(void **state)
{
	(void)state;
	struct mesh_message message;
	mesh_message_init(&message);
	message.mesh.n_networks = 0;
	must_refuse(&message);
	message.mesh.policy = NULL;
	must_refuse(&message);
	message.network.prefix_len = 33;
	must_refuse(&message);
	Handfast__V1__NamedService service = HANDFAST__V1__NAMED_SERVICE__INIT, *list[] = {&service};
	static const struct span wrong[][2] = {{SPAN_LITERAL("db"), SPAN_LITERAL("\xc0")},
		{SPAN_LITERAL(""), SPAN_LITERAL("\xc0\x00\x02\x09")},
		{SPAN_LITERAL("d\0b"), SPAN_LITERAL("\xc0\x00\x02\x09")}};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		service.name = pb_bytes(wrong[i][0]);
		service.ip = pb_bytes(wrong[i][1]);
		message.mesh.services = list;
		message.mesh.n_services = 1;
		must_refuse(&message);
	}
	message.network.address = pb_bytes(SPAN_LITERAL("\xc0\x00\x02\x01"));
	must_refuse(&message);
	message.policy.default_mode = HANDFAST__V1__INBOUND_MODE__INBOUND_MODE_UNSPECIFIED;
	must_refuse(&message);
	message.port.port = 65536;
	must_refuse(&message);
	message.rule.action = HANDFAST__V1__RULE_ACTION__RULE_ACTION_UNSPECIFIED;
	must_refuse(&message);
	message.rule.name = pb_bytes(SPAN_LITERAL("a\0b"));
	must_refuse(&message);
	message.source.kind_case = HANDFAST__V1__SOURCE_MATCH__KIND__NOT_SET;
	must_refuse(&message);
	message.source.namespace_ = pb_bytes(SPAN_LITERAL("cluster.local/../x"));
	must_refuse(&message);
	message.rule_ports[0] = 0;
	must_refuse(&message);
}

static enum err parse_meshed_by(uint32_t transport, const char *id, uint32_t port, struct discovery_down *down)
{
	Handfast__V1__DiscoveryDown message = HANDFAST__V1__DISCOVERY_DOWN__INIT;
	Handfast__V1__Answers answers = HANDFAST__V1__ANSWERS__INIT;
	Handfast__V1__Answer answer = HANDFAST__V1__ANSWER__INIT, *list[] = {&answer};
	Handfast__V1__SocketAddress address = HANDFAST__V1__SOCKET_ADDRESS__INIT;
	Handfast__V1__Meshed meshed = HANDFAST__V1__MESHED__INIT;
	Handfast__V1__Endpoint endpoint = HANDFAST__V1__ENDPOINT__INIT, *endpoints[] = {&endpoint};
	address.ip = pb_bytes(SPAN_LITERAL("\xc0\x00\x02\x07"));
	address.port = port;
	endpoint.address = &address;
	endpoint.id = pb_bytes(span_of_str(id));
	uint32_t zones[] = {1, 2, 3, 4, 5};
	endpoint.zones = zones;
	endpoint.n_zones = 5;
	endpoint.transport = transport;
	meshed.endpoints = endpoints;
	meshed.n_endpoints = 1;
	meshed.draining_endpoints = endpoints;
	meshed.n_draining_endpoints = 1;
	meshed.affinity_s = 60;
	answer.version = 3;
	answer.destination = &address;
	answer.kind_case = HANDFAST__V1__ANSWER__KIND_MESHED;
	answer.meshed = &meshed;
	answers.answers = list;
	answers.n_answers = 1;
	message.kind_case = HANDFAST__V1__DISCOVERY_DOWN__KIND_ANSWERS;
	message.answers = &answers;
	return parse(&message.base, down, NULL);
}

static enum err parse_meshed(const char *id, uint32_t port, struct discovery_down *down)
{
	return parse_meshed_by(0, id, port, down);
}

/* A number of a later release is a tunnel, which finds none there: never plaintext. */
static void an_endpoint_has_its_transport(void **state)
{
	static const enum endpoint_transport expected[] = {TRANSPORT_TUNNEL, TRANSPORT_ISTIO_TLS, TRANSPORT_TUNNEL};
	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		struct discovery_down *down = mem_new(struct discovery_down);
		assert_int_equal(parse_meshed_by(i, "spiffe://cluster.local/web", 80, down), ERR_NONE);
		assert_int_equal(down->answers[0]->endpoints[0].transport, expected[i]);
		discovery_down_done(down);
		mem_free(down);
	}
}

static void finding_p14_a_meshed_answer_has_identities_and_draining_endpoints(void **state)
{
	(void)state;
	struct discovery_down *down = mem_new(struct discovery_down);
	assert_int_equal(parse_meshed("spiffe://cluster.local/web", 80, down), ERR_NONE);
	assert_int_equal(down->num_answers, 1);
	assert_int_equal(down->answers[0]->kind, DESTINATION_MESHED);
	assert_string_equal(down->answers[0]->endpoints[0].id.text, "spiffe://cluster.local/web");
	assert_int_equal(down->answers[0]->num_endpoints, 2);
	static const uint32_t zones[ENDPOINT_ZONES_MAX] = {1, 2, 3, 4}; /* further ones are left out */
	assert_memory_equal(down->answers[0]->endpoints[0].zones, zones, sizeof(zones));
	assert_int_equal(down->answers[0]->num_draining, 1);
	assert_int_equal(down->answers[0]->affinity_s, 60);
	assert_string_equal(down->answers[0]->endpoints[1].id.text, "spiffe://cluster.local/web");
	discovery_down_done(down);
	mem_free(down);
}

static void endpoints_without_the_identity_of_a_workload_are_refused(void **state)
{
	(void)state;
	struct discovery_down *down = mem_new(struct discovery_down);
	assert_int_not_equal(parse_meshed("", 80, down), ERR_NONE);
	assert_int_not_equal(parse_meshed("spiffe://cluster.local", 80, down), ERR_NONE);
	assert_int_not_equal(parse_meshed("spiffe://cluster.local/handfast/control", 80, down), ERR_NONE);
	assert_int_not_equal(parse_meshed("spiffe://cluster.local/web", 0, down), ERR_NONE);
	mem_free(down);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mesh_state_is_parsed_into_networks_and_policy),
		cmocka_unit_test(a_mesh_state_has_the_addresses_of_named_services),
		cmocka_unit_test(c14_a_mesh_state_with_one_wrong_part_is_refused_as_a_whole),
		cmocka_unit_test(an_endpoint_has_its_transport),
		cmocka_unit_test(finding_p14_a_meshed_answer_has_identities_and_draining_endpoints),
		cmocka_unit_test(endpoints_without_the_identity_of_a_workload_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
