#include "base/core/check.h"
#include "base/pb/unpack.h"
#include "proto/handfast/v1/discovery.pb-c.h"
#include "sidecar/discovery/messages.h"

enum err discovery_hello_encode(const char *release, const char *const *services, size_t num_services, struct buf *out)
{
	ProtobufCBinaryData names[NAMED_SERVICES_MAX];
	CHECK(num_services <= NAMED_SERVICES_MAX);
	for (size_t i = 0; i < num_services; i++)
		names[i] = pb_bytes(span_of_str(services[i]));
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__Hello hello = HANDFAST__V1__HELLO__INIT;
	hello.protocol_version = 1;
	hello.release = pb_bytes(span_of_str(release));
	hello.services = names;
	hello.n_services = num_services;
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_HELLO;
	up.hello = &hello;
	return pb_pack(&up.base, out);
}

static void put_address(const struct addr *address, Handfast__V1__SocketAddress *out)
{
	handfast__v1__socket_address__init(out);
	out->ip = pb_bytes(ip_addr_bytes(&address->ip));
	out->port = address->port;
}

enum err discovery_subscribe_encode(
	const struct addr *destinations, const struct answer *const *known, size_t num, struct buf *out)
{
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__Subscribe subscribe = HANDFAST__V1__SUBSCRIBE__INIT;
	Handfast__V1__SocketAddress values[SUBSCRIBE_BATCH], *list[SUBSCRIBE_BATCH];
	ProtobufCBinaryData digests[SUBSCRIBE_BATCH] = {{0}};
	CHECK(num <= SUBSCRIBE_BATCH);
	for (size_t i = 0; i < num; i++) {
		put_address(&destinations[i], &values[i]);
		list[i] = &values[i];
		if (known != NULL && known[i] != NULL && known[i]->has_digest)
			digests[i] = pb_bytes(span_of(known[i]->digest, ANSWER_DIGEST_LEN));
	}
	subscribe.destinations = list;
	subscribe.n_destinations = num;
	subscribe.known = digests;
	subscribe.n_known = known != NULL ? num : 0;
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_SUBSCRIBE;
	up.subscribe = &subscribe;
	return pb_pack(&up.base, out);
}

enum err discovery_unsubscribe_encode(const struct addr *destination, struct buf *out)
{
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__Unsubscribe unsubscribe = HANDFAST__V1__UNSUBSCRIBE__INIT;
	Handfast__V1__SocketAddress value, *list[] = {&value};
	put_address(destination, &value);
	unsubscribe.destinations = list;
	unsubscribe.n_destinations = 1;
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_UNSUBSCRIBE;
	up.unsubscribe = &unsubscribe;
	return pb_pack(&up.base, out);
}

enum err discovery_ack_encode(uint64_t version, const char *refused_reason, struct buf *out)
{
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__DiscoveryAck ack = HANDFAST__V1__DISCOVERY_ACK__INIT;
	ack.version = version;
	if (refused_reason != NULL)
		ack.refused_reason = pb_bytes(span_of_str(refused_reason));
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_ACK;
	up.ack = &ack;
	return pb_pack(&up.base, out);
}
