#include "base/core/check.h"
#include "base/pb/unpack.h"
#include "proto/handfast/v1/discovery.pb-c.h"
#include "sidecar/discovery/messages.h"

enum err discovery_hello_encode(const char *release, struct buf *out)
{
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__Hello hello = HANDFAST__V1__HELLO__INIT;
	hello.protocol_version = 1;
	hello.release = pb_bytes(span_of_str(release));
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_HELLO;
	up.hello = &hello;
	return pb_pack(&up.base, out);
}

enum err discovery_subscribe_encode(const struct addr *destinations, size_t num, bool unsubscribe, struct buf *out)
{
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__Subscribe more = HANDFAST__V1__SUBSCRIBE__INIT;
	Handfast__V1__Unsubscribe less = HANDFAST__V1__UNSUBSCRIBE__INIT;
	Handfast__V1__SocketAddress values[SUBSCRIBE_BATCH], *list[SUBSCRIBE_BATCH];
	CHECK(num <= SUBSCRIBE_BATCH);
	for (size_t i = 0; i < num; i++) {
		handfast__v1__socket_address__init(&values[i]);
		values[i].ip = pb_bytes(ip_addr_bytes(&destinations[i].ip));
		values[i].port = destinations[i].port;
		list[i] = &values[i];
	}
	more.destinations = less.destinations = list;
	more.n_destinations = less.n_destinations = num;
	if (unsubscribe) {
		up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_UNSUBSCRIBE;
		up.unsubscribe = &less;
	} else {
		up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_SUBSCRIBE;
		up.subscribe = &more;
	}
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
