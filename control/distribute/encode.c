#include "control/distribute/encode.h"

#include "base/core/check.h"
#include "base/pb/unpack.h"
#include "control/distribute/encode_policy_private.h"

/* No networks: the mesh covers every address. */
static size_t mesh_networks_encode(
	struct piece **scrap, const struct control_config *config, Handfast__V1__Network ***out)
{
	static const struct network everything[] = {{.base = {.family = AF_INET}}, {.base = {.family = AF_INET6}}};
	if (config->num_networks == 0)
		return networks_encode(scrap, everything, sizeof(everything) / sizeof(everything[0]), out);
	return networks_encode(scrap, config->networks, config->num_networks, out);
}

struct named_values {
	Handfast__V1__NamedService values[NAMED_SERVICES_MAX], *list[NAMED_SERVICES_MAX];
};

static void services_encode(const struct mesh_state *state, struct named_values *room, Handfast__V1__MeshState *out)
{
	CHECK(state->num_services <= NAMED_SERVICES_MAX);
	for (size_t i = 0; i < state->num_services; i++) {
		handfast__v1__named_service__init(&room->values[i]);
		room->values[i].name = pb_bytes(span_of_str(state->services[i].name));
		room->values[i].ip = pb_bytes(ip_addr_bytes(&state->services[i].ip));
		room->list[i] = &room->values[i];
	}
	out->services = room->list;
	out->n_services = state->num_services;
}

enum err encode_mesh_state(const struct mesh_state *state, struct buf *out)
{
	struct named_values named;
	_cleanup_(scrap_done) struct piece *scrap = NULL;
	const struct control_config *config = state->config;
	Handfast__V1__DiscoveryDown down = HANDFAST__V1__DISCOVERY_DOWN__INIT;
	Handfast__V1__MeshState mesh = HANDFAST__V1__MESH_STATE__INIT;
	Handfast__V1__Policy policy = HANDFAST__V1__POLICY__INIT;
	mesh.version = state->version;
	mesh.n_networks = mesh_networks_encode(&scrap, config, &mesh.networks);
	mesh.n_plaintext_networks = networks_encode(
		&scrap, config->plaintext_networks, config->num_plaintext_networks, &mesh.plaintext_networks);
	mesh.n_require_mtls_networks = networks_encode(
		&scrap, config->require_mtls_networks, config->num_require_mtls_networks, &mesh.require_mtls_networks);
	services_encode(state, &named, &mesh);
	mesh.zone = state->zone;
	mesh.policy = &policy;
	down.kind_case = HANDFAST__V1__DISCOVERY_DOWN__KIND_MESH;
	down.mesh = &mesh;
	policy_encode(&scrap, state, &policy);
	return pb_pack(&down.base, out);
}

static void address_encode(const struct addr *addr, Handfast__V1__SocketAddress *out)
{
	handfast__v1__socket_address__init(out);
	out->ip = pb_bytes(ip_addr_bytes(&addr->ip));
	out->port = addr->port;
}

struct endpoints {
	Handfast__V1__Endpoint values[RESOLUTION_ENDPOINTS_MAX], *list[RESOLUTION_ENDPOINTS_MAX];
	Handfast__V1__SocketAddress addresses[RESOLUTION_ENDPOINTS_MAX];
};

static void zones_encode(const struct resolved_endpoint *endpoint, Handfast__V1__Endpoint *out)
{
	out->zones = (uint32_t *)(uintptr_t)endpoint->zones;
	while (out->n_zones < RESOLUTION_ZONES_MAX && endpoint->zones[out->n_zones] != 0)
		out->n_zones++;
}

static void meshed_encode(const struct resolution *resolution, struct endpoints *room, Handfast__V1__Meshed *out)
{
	size_t num = resolution->num_endpoints + resolution->num_draining;
	CHECK(num <= RESOLUTION_ENDPOINTS_MAX);
	for (size_t i = 0; i < num; i++) {
		handfast__v1__endpoint__init(&room->values[i]);
		address_encode(&resolution->endpoints[i].address, &room->addresses[i]);
		room->values[i].address = &room->addresses[i];
		room->values[i].id = pb_bytes(spiffe_id_text(resolution->endpoints[i].id));
		zones_encode(&resolution->endpoints[i], &room->values[i]);
		room->values[i].transport = resolution->endpoints[i].is_istio_tls;
		room->list[i] = &room->values[i];
	}
	out->endpoints = room->list;
	out->n_endpoints = resolution->num_endpoints;
	out->draining_endpoints = room->list + resolution->num_endpoints;
	out->n_draining_endpoints = resolution->num_draining;
	out->affinity_s = resolution->affinity_s;
	if (resolution->service != NULL)
		out->service = pb_bytes(span_of_str(resolution->service));
}

size_t encode_answers_prefix(size_t len, uint8_t out[ANSWERS_PREFIX_MAX])
{
	size_t at = 0;
	out[at++] = 2 << 3 | 2; /* DiscoveryDown.answers, length-delimited */
	for (; len > 0x7f; len >>= 7)
		out[at++] = (uint8_t)(len & 0x7f) | 0x80;
	out[at++] = (uint8_t)len;
	return at;
}

enum err encode_answer(
	const struct addr *destination, const struct resolution *resolution, struct answer_mark mark, struct buf *out)
{
	Handfast__V1__DiscoveryDown down = HANDFAST__V1__DISCOVERY_DOWN__INIT;
	Handfast__V1__Answers answers = HANDFAST__V1__ANSWERS__INIT;
	Handfast__V1__Answer answer = HANDFAST__V1__ANSWER__INIT, *list[] = {&answer};
	Handfast__V1__SocketAddress address;
	Handfast__V1__Meshed meshed = HANDFAST__V1__MESHED__INIT;
	Handfast__V1__Plain plain = HANDFAST__V1__PLAIN__INIT;
	Handfast__V1__Unknown unknown = HANDFAST__V1__UNKNOWN__INIT;
	struct endpoints room;
	address_encode(destination, &address);
	answer.version = mark.version;
	if (mark.digest != NULL)
		answer.digest = pb_bytes(span_of(mark.digest, ANSWER_DIGEST_LEN));
	answer.destination = &address;
	switch (resolution->kind) {
	case RESOLVED_MESHED:
		meshed_encode(resolution, &room, &meshed);
		answer.kind_case = HANDFAST__V1__ANSWER__KIND_MESHED;
		answer.meshed = &meshed;
		break;
	case RESOLVED_PLAIN:
		plain.reason = pb_bytes(span_of_str(resolution->reason));
		answer.kind_case = HANDFAST__V1__ANSWER__KIND_PLAIN;
		answer.plain = &plain;
		break;
	case RESOLVED_UNKNOWN:
		unknown.reason = pb_bytes(span_of_str(resolution->reason));
		answer.kind_case = HANDFAST__V1__ANSWER__KIND_UNKNOWN;
		answer.unknown = &unknown;
		break;
	}
	answers.answers = list;
	answers.n_answers = 1;
	down.kind_case = HANDFAST__V1__DISCOVERY_DOWN__KIND_ANSWERS;
	down.answers = &answers;
	return pb_pack(&down.base, out);
}
