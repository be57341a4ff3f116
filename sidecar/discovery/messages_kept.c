#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "proto/handfast/v1/discovery.pb-c.h"
#include "sidecar/discovery/messages.h"

/* The structs that a message with endpoints points to. */
struct endpoint_message {
	Handfast__V1__Endpoint endpoint;
	Handfast__V1__SocketAddress address;
	uint32_t zones[ENDPOINT_ZONES_MAX];
};

static void put_address(const struct addr *address, Handfast__V1__SocketAddress *out)
{
	handfast__v1__socket_address__init(out);
	out->ip = pb_bytes(ip_addr_bytes(&address->ip));
	out->port = address->port;
}

static void put_endpoint(const struct endpoint *endpoint, struct endpoint_message *out)
{
	handfast__v1__endpoint__init(&out->endpoint);
	put_address(&endpoint->address, &out->address);
	out->endpoint.address = &out->address;
	out->endpoint.id = pb_bytes(spiffe_id_text(&endpoint->id));
	memcpy(out->zones, endpoint->zones, sizeof(out->zones));
	out->endpoint.zones = out->zones;
	while (out->endpoint.n_zones < ENDPOINT_ZONES_MAX && out->zones[out->endpoint.n_zones] != 0)
		out->endpoint.n_zones++;
	out->endpoint.transport = endpoint->transport;
}

static ProtobufCBinaryData text_of(const char *text)
{
	return text == NULL ? (ProtobufCBinaryData){0} : pb_bytes(span_of_str(text));
}

static enum err pack(Handfast__V1__Answer *answer, struct buf *out)
{
	Handfast__V1__DiscoveryDown down = HANDFAST__V1__DISCOVERY_DOWN__INIT;
	Handfast__V1__Answers answers = HANDFAST__V1__ANSWERS__INIT;
	answers.answers = &answer;
	answers.n_answers = 1;
	down.kind_case = HANDFAST__V1__DISCOVERY_DOWN__KIND_ANSWERS;
	down.answers = &answers;
	return pb_pack(&down.base, out);
}

static enum err pack_meshed(const struct answer *answer, Handfast__V1__Answer *message, struct buf *out)
{
	Handfast__V1__Meshed meshed = HANDFAST__V1__MESHED__INIT;
	struct endpoint_message *each = mem_calloc(answer->num_endpoints + 1, sizeof *each);
	Handfast__V1__Endpoint **list = mem_calloc(answer->num_endpoints + 1, sizeof *list);
	for (size_t i = 0; i < answer->num_endpoints; i++) {
		put_endpoint(&answer->endpoints[i], &each[i]);
		list[i] = &each[i].endpoint;
	}
	meshed.n_endpoints = answer->num_endpoints - answer->num_draining;
	meshed.endpoints = list;
	meshed.n_draining_endpoints = answer->num_draining;
	meshed.draining_endpoints = list + meshed.n_endpoints;
	meshed.affinity_s = answer->affinity_s;
	meshed.service = text_of(answer->reason);
	message->kind_case = HANDFAST__V1__ANSWER__KIND_MESHED;
	message->meshed = &meshed;
	enum err err = pack(message, out);
	mem_free(list);
	mem_free(each);
	return err;
}

enum err discovery_answer_encode(const struct answer *answer, struct buf *out)
{
	Handfast__V1__Answer message = HANDFAST__V1__ANSWER__INIT;
	Handfast__V1__SocketAddress destination;
	Handfast__V1__Plain plain = HANDFAST__V1__PLAIN__INIT;
	Handfast__V1__Unknown unknown = HANDFAST__V1__UNKNOWN__INIT;
	put_address(&answer->destination, &destination);
	message.destination = &destination;
	message.version = answer->version;
	if (answer->has_digest)
		message.digest = pb_bytes(span_of(answer->digest, ANSWER_DIGEST_LEN));
	plain.reason = unknown.reason = text_of(answer->reason);
	switch (answer->kind) {
	case DESTINATION_MESHED:
		return pack_meshed(answer, &message, out);
	case DESTINATION_PLAINTEXT:
		message.kind_case = HANDFAST__V1__ANSWER__KIND_PLAIN;
		message.plain = &plain;
		break;
	case DESTINATION_UNKNOWN:
		message.kind_case = HANDFAST__V1__ANSWER__KIND_UNKNOWN;
		message.unknown = &unknown;
		break;
	}
	return pack(&message, out);
}
