#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "sidecar/discovery/messages.h"

#include "policy/policy_message.h"
#include <stdio.h>
#include <string.h>

enum { NETWORKS_MAX = 4096, REASON_MAX = 255 };

static enum err refuse(struct why *why, const char *expected, const char *got)
{
	return why_set(why, ERR_MALFORMED, expected, "check the release of the control plane", "%s", got);
}

static enum err networks_of(Handfast__V1__Network *const *list, size_t num, struct network *out, struct why *why)
{
	for (size_t i = 0; i < num; i++)
		RETURN_IF_ERR(network_of_message(list[i], &out[i], why));
	return ERR_NONE;
}

static enum err services_of(
	Handfast__V1__NamedService *const *list, size_t num, struct mesh_networks *networks, struct why *why)
{
	if (num > NAMED_SERVICES_MAX)
		return why_set(why, ERR_TOO_LARGE, "at most 64 services by name",
			"check the release of the control plane", "the mesh state has %zu", num);
	for (size_t i = 0; i < num; i++) {
		struct span name = pb_span(list[i]->name);
		struct ip_addr ip;
		if (name.len == 0 || memchr(name.ptr, '\0', name.len) != NULL ||
			ip_addr_from_bytes(pb_span(list[i]->ip), &ip) != ERR_NONE)
			return refuse(why, "a service with a name and an address of 4 or 16 bytes",
				"a service of the mesh state has no name, or an address of another length");
		mesh_networks_add_service(networks, name, &ip);
	}
	return ERR_NONE;
}

static enum err mesh_of(const Handfast__V1__MeshState *mesh, const struct trust_domain *own_domain,
	struct discovery_down *out, struct why *why)
{
	if (mesh->policy == NULL || mesh->n_networks == 0)
		return refuse(
			why, "a mesh state with networks and policy", "the mesh state has no networks or no policy");
	if (mesh->n_networks > NETWORKS_MAX || mesh->n_plaintext_networks > NETWORKS_MAX ||
		mesh->n_require_mtls_networks > NETWORKS_MAX)
		return why_set(why, ERR_TOO_LARGE, "at most 4096 networks per kind", "merge some of the networks",
			"the mesh state has %zu mesh networks, %zu plaintext, %zu that require mTLS", mesh->n_networks,
			mesh->n_plaintext_networks, mesh->n_require_mtls_networks);
	out->kind = DISCOVERY_DOWN_MESH;
	out->version = mesh->version;
	out->networks = mesh_networks_new(mesh->n_networks, mesh->n_plaintext_networks, mesh->n_require_mtls_networks);
	RETURN_IF_ERR(networks_of(mesh->networks, mesh->n_networks, out->networks->inside, why));
	RETURN_IF_ERR(networks_of(mesh->plaintext_networks, mesh->n_plaintext_networks, out->networks->plaintext, why));
	RETURN_IF_ERR(networks_of(
		mesh->require_mtls_networks, mesh->n_require_mtls_networks, out->networks->require_mtls, why));
	RETURN_IF_ERR(services_of(mesh->services, mesh->n_services, out->networks, why));
	out->networks->zone = mesh->zone;
	return policy_of_message(mesh->policy, own_domain, &out->policy, why);
}

static enum err address_of(const Handfast__V1__SocketAddress *message, struct addr *out, struct why *why)
{
	bool is_good = message != NULL && message->port > 0 && message->port <= 65535 &&
		       ip_addr_from_bytes(pb_span(message->ip), &out->ip) == ERR_NONE;
	if (!is_good)
		return refuse(why, "an address of 4 or 16 bytes and a port from 1 to 65535",
			"a socket address in the answer is malformed");
	out->port = (uint16_t)message->port;
	return ERR_NONE;
}

static char *reason_text_of(ProtobufCBinaryData bytes)
{
	char text[REASON_MAX + 1];
	snprintf(text, sizeof(text), "%.*s", (int)(bytes.len > REASON_MAX ? REASON_MAX : bytes.len),
		(const char *)bytes.data);
	return bytes.len == 0 ? NULL : mem_strdup(text);
}

static enum err endpoint_of(const Handfast__V1__Endpoint *message, struct endpoint *out, struct why *why)
{
	RETURN_IF_ERR(address_of(message->address, &out->address, why));
	for (size_t i = 0; i < message->n_zones && i < ENDPOINT_ZONES_MAX; i++)
		out->zones[i] = message->zones[i];
	RETURN_IF_ERR(spiffe_id_parse(pb_span(message->id), &out->id, why));
	out->transport = message->transport == TRANSPORT_ISTIO_TLS ? TRANSPORT_ISTIO_TLS : TRANSPORT_TUNNEL;
	if (spiffe_id_path(&out->id).len == 0 || spiffe_id_is_reserved(&out->id))
		return why_set(why, ERR_MALFORMED, "the identity of a workload at each endpoint",
			"check the release of the control plane", "%s at an endpoint is not the identity of a workload",
			out->id.text);
	return ERR_NONE;
}

static enum err meshed_of(
	const Handfast__V1__Answer *message, const struct addr *destination, struct answer **out, struct why *why)
{
	const Handfast__V1__Meshed *meshed = message->meshed;
	size_t num = meshed->n_endpoints + meshed->n_draining_endpoints;
	if (num > ANSWER_ENDPOINTS_MAX)
		return why_set(why, ERR_TOO_LARGE, "at most 4096 endpoints", "split the service",
			"the answer has %zu endpoints", num);
	*out = answer_new(destination, DESTINATION_MESHED, message->version, num);
	(*out)->num_draining = meshed->n_draining_endpoints;
	(*out)->affinity_s = meshed->affinity_s;
	(*out)->reason = reason_text_of(meshed->service);
	for (size_t i = 0; i < meshed->n_endpoints; i++)
		RETURN_IF_ERR(endpoint_of(meshed->endpoints[i], &(*out)->endpoints[i], why));
	for (size_t i = 0; i < meshed->n_draining_endpoints; i++)
		RETURN_IF_ERR(
			endpoint_of(meshed->draining_endpoints[i], &(*out)->endpoints[meshed->n_endpoints + i], why));
	answer_sort_zones(*out);
	return ERR_NONE;
}

static enum err answer_of(const Handfast__V1__Answer *message, struct answer **out, struct why *why)
{
	struct addr destination;
	RETURN_IF_ERR(address_of(message->destination, &destination, why));
	switch (message->kind_case) {
	case HANDFAST__V1__ANSWER__KIND_MESHED:
		return meshed_of(message, &destination, out, why);
	case HANDFAST__V1__ANSWER__KIND_PLAIN:
		*out = answer_new(&destination, DESTINATION_PLAINTEXT, message->version, 0);
		(*out)->reason = reason_text_of(message->plain->reason);
		return ERR_NONE;
	case HANDFAST__V1__ANSWER__KIND_UNKNOWN:
		*out = answer_new(&destination, DESTINATION_UNKNOWN, message->version, 0);
		(*out)->reason = reason_text_of(message->unknown->reason);
		return ERR_NONE;
	case HANDFAST__V1__ANSWER__KIND__NOT_SET:
	case _HANDFAST__V1__ANSWER__KIND__CASE_IS_INT_SIZE:
		break;
	}
	return refuse(why, "an answer that is meshed, plaintext or unknown",
		"the kind of the answer is not set or not known");
}

static enum err marked_answer_of(const Handfast__V1__Answer *message, struct answer **out, struct why *why)
{
	enum err err = answer_of(message, out, why);
	if (err != ERR_NONE || message->digest.len != ANSWER_DIGEST_LEN) /* of another release: it is sent each time */
		return err;
	(*out)->has_digest = true;
	memcpy((*out)->digest, message->digest.data, ANSWER_DIGEST_LEN);
	return ERR_NONE;
}

static enum err answers_of(const Handfast__V1__Answers *message, struct discovery_down *out, struct why *why)
{
	if (message->n_answers == 0 || message->n_answers > ANSWERS_MAX)
		return why_set(why, ERR_TOO_LARGE, "1 to 1024 answers per message",
			"check the release of the control plane", "the message has %zu answers", message->n_answers);
	out->kind = DISCOVERY_DOWN_ANSWERS;
	for (size_t i = 0; i < message->n_answers; i++) {
		out->version = message->answers[i]->version;
		enum err err = marked_answer_of(message->answers[i], &out->answers[i], why);
		out->num_answers += out->answers[i] != NULL;
		if (err != ERR_NONE)
			return err;
	}
	return ERR_NONE;
}

static enum err down_of(const Handfast__V1__DiscoveryDown *down, const struct trust_domain *own_domain,
	struct discovery_down *out, struct why *why)
{
	switch (down->kind_case) {
	case HANDFAST__V1__DISCOVERY_DOWN__KIND_MESH:
		return mesh_of(down->mesh, own_domain, out, why);
	case HANDFAST__V1__DISCOVERY_DOWN__KIND_ANSWERS:
		return answers_of(down->answers, out, why);
	case HANDFAST__V1__DISCOVERY_DOWN__KIND__NOT_SET:
	case _HANDFAST__V1__DISCOVERY_DOWN__KIND__CASE_IS_INT_SIZE:
		break;
	}
	return refuse(why, "a mesh state or answers", "the kind of the message is not set or not known");
}

enum err discovery_down_parse(
	struct span bytes, const struct trust_domain *own_domain, struct discovery_down *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *message;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__discovery_down__descriptor, bytes, &arena, &message, why));
	*out = (struct discovery_down){0};
	enum err err = down_of((const Handfast__V1__DiscoveryDown *)(const void *)message, own_domain, out, why);
	CHECK(out->num_answers <= ANSWERS_MAX);
	if (err != ERR_NONE)
		discovery_down_done(out);
	return err;
}

void discovery_down_done(struct discovery_down *down)
{
	mesh_networks_unref(down->networks);
	policy_unref(down->policy);
	for (size_t i = 0; i < down->num_answers; i++)
		answer_unref(down->answers[i]);
	*down = (struct discovery_down){0};
}
