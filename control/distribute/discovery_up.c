/* Messages of a sidecar on the Discovery stream, checked. */
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "control/distribute/encode.h"
#include "proto/handfast/v1/discovery.pb-c.h"
#include <stdio.h>
#include <string.h>

enum { SERVICE_NAME_MAX = 253 };

static enum err destinations_parse(
	Handfast__V1__SocketAddress *const *list, size_t num, struct discovery_up *out, struct why *why)
{
	if (num == 0 || num > SUBSCRIBE_MAX)
		return why_set(why, ERR_TOO_LARGE, "1 to 1024 destinations per message", "send several messages",
			"the message has %zu", num);
	out->destinations = mem_calloc(num, sizeof(*out->destinations));
	for (size_t i = 0; i < num; i++) {
		struct addr *addr = &out->destinations[i];
		if (list[i]->port == 0 || list[i]->port > 65535 ||
			ip_addr_from_bytes(pb_span(list[i]->ip), &addr->ip) != ERR_NONE)
			return why_set(why, ERR_MALFORMED, "an address of 4 or 16 bytes and a port",
				"update the sidecar", "a destination has an address of %zu bytes and port %u",
				list[i]->ip.len, list[i]->port);
		addr->port = (uint16_t)list[i]->port;
	}
	out->num_destinations = num;
	return ERR_NONE;
}

static enum err known_parse(const ProtobufCBinaryData *list, size_t num, struct discovery_up *out, struct why *why)
{
	if (num == 0)
		return ERR_NONE;
	if (num != out->num_destinations)
		return why_set(why, ERR_MALFORMED, "a digest for each destination", "update the sidecar",
			"the message has %zu destinations and %zu digests", out->num_destinations, num);
	out->known = mem_calloc(num, ANSWER_DIGEST_LEN);
	for (size_t i = 0; i < num; i++) {
		if (list[i].len != 0 && list[i].len != ANSWER_DIGEST_LEN)
			return why_set(why, ERR_MALFORMED, "digests of 0 or 16 bytes", "update the sidecar",
				"a digest has %zu bytes", list[i].len);
		if (list[i].len != 0)
			memcpy(out->known + i * ANSWER_DIGEST_LEN, list[i].data, ANSWER_DIGEST_LEN);
	}
	return ERR_NONE;
}

/* The caller frees what was taken before an error. */
static enum err services_parse(const ProtobufCBinaryData *list, size_t num, struct discovery_up *out, struct why *why)
{
	if (num > NAMED_SERVICES_MAX)
		return why_set(why, ERR_TOO_LARGE, "at most 64 services by name", "remove some of listeners.outbound",
			"the message has %zu", num);
	out->services = num == 0 ? NULL : mem_calloc(num, sizeof(*out->services));
	for (size_t i = 0; i < num; i++) {
		if (list[i].len == 0 || list[i].len > SERVICE_NAME_MAX ||
			memchr(list[i].data, '\0', list[i].len) != NULL)
			return why_set(why, ERR_MALFORMED, "names of services, of 1 to 253 bytes without a NUL byte",
				"correct listeners.outbound", "a name has %zu bytes", list[i].len);
		out->services[out->num_services++] = mem_printf("%.*s", (int)list[i].len, (const char *)list[i].data);
	}
	return ERR_NONE;
}

static enum err take(const Handfast__V1__DiscoveryUp *up, struct discovery_up *out, struct why *why)
{
	switch (up->kind_case) {
	case HANDFAST__V1__DISCOVERY_UP__KIND_HELLO:
		out->kind = DISCOVERY_HELLO;
		out->protocol_version = up->hello->protocol_version;
		return services_parse(up->hello->services, up->hello->n_services, out, why);
	case HANDFAST__V1__DISCOVERY_UP__KIND_SUBSCRIBE:
		out->kind = DISCOVERY_SUBSCRIBE;
		RETURN_IF_ERR(destinations_parse(up->subscribe->destinations, up->subscribe->n_destinations, out, why));
		return known_parse(up->subscribe->known, up->subscribe->n_known, out, why);
	case HANDFAST__V1__DISCOVERY_UP__KIND_UNSUBSCRIBE:
		out->kind = DISCOVERY_UNSUBSCRIBE;
		return destinations_parse(up->unsubscribe->destinations, up->unsubscribe->n_destinations, out, why);
	case HANDFAST__V1__DISCOVERY_UP__KIND_ACK:
		out->kind = DISCOVERY_ACK;
		out->version = up->ack->version;
		snprintf(out->refused_reason, sizeof(out->refused_reason), "%.*s",
			(int)(up->ack->refused_reason.len > 255 ? 255 : up->ack->refused_reason.len),
			(const char *)up->ack->refused_reason.data);
		return ERR_NONE;
	case HANDFAST__V1__DISCOVERY_UP__KIND__NOT_SET:
	case _HANDFAST__V1__DISCOVERY_UP__KIND__CASE_IS_INT_SIZE:
		break;
	}
	return why_set(why, ERR_MALFORMED, "hello, subscribe, unsubscribe or ack", "update the sidecar",
		"the message is of another kind");
}

enum err discovery_up_parse(struct span bytes, struct discovery_up *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	struct discovery_up up = {0};
	ProtobufCMessage *message;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__discovery_up__descriptor, bytes, &arena, &message, why));
	enum err err = take((const Handfast__V1__DiscoveryUp *)(const void *)message, &up, why);
	if (err != ERR_NONE)
		discovery_up_done(&up);
	else
		*out = up;
	return err;
}

void discovery_up_done(struct discovery_up *up)
{
	mem_free(up->destinations);
	mem_free(up->known);
	for (size_t i = 0; i < up->num_services; i++)
		mem_free(up->services[i]);
	mem_free(up->services);
}
