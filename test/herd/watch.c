#include "test/herd/watch.h"
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "proto/handfast/v1/discovery.pb-c.h"
#include "test/herd/light.pb-c.h"

enum { MESSAGE_UP_MAX = 4096 };

static void send_up(struct watch *watch, const Handfast__V1__DiscoveryUp *up)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(MESSAGE_UP_MAX);
	if (watch->call != NULL && pb_pack(&up->base, &message) == ERR_NONE &&
		rpc_call_send(watch->call, buf_span(&message)) != ERR_NONE)
		rpc_call_cancel(TAKE_PTR(watch->call));
}

static void send_hello(struct watch *watch)
{
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__Hello hello = HANDFAST__V1__HELLO__INIT;
	hello.protocol_version = 1;
	hello.release = pb_bytes(SPAN_LITERAL("herd"));
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_HELLO;
	up.hello = &hello;
	send_up(watch, &up);
}

static bool has_all(const struct watch *watch)
{
	return watch->num_answers >= watch->num;
}

static void send_subscriptions(struct watch *watch)
{
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__Subscribe subscribe = HANDFAST__V1__SUBSCRIBE__INIT;
	Handfast__V1__SocketAddress values[WATCH_MAX], *list[WATCH_MAX];
	ProtobufCBinaryData digests[WATCH_MAX];
	for (size_t i = 0; i < watch->num; i++) {
		handfast__v1__socket_address__init(&values[i]);
		values[i].ip = pb_bytes(ip_addr_bytes(&watch->destinations[i].ip));
		values[i].port = watch->destinations[i].port;
		list[i] = &values[i];
		digests[i] = pb_bytes(span_of(watch->known[i], sizeof watch->known[i]));
	}
	subscribe.known = digests;
	subscribe.n_known = has_all(watch) ? watch->num : 0;
	subscribe.destinations = list;
	subscribe.n_destinations = watch->num;
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_SUBSCRIBE;
	up.subscribe = &subscribe;
	send_up(watch, &up);
}

static void send_ack(struct watch *watch, uint64_t version)
{
	Handfast__V1__DiscoveryUp up = HANDFAST__V1__DISCOVERY_UP__INIT;
	Handfast__V1__DiscoveryAck ack = HANDFAST__V1__DISCOVERY_ACK__INIT;
	ack.version = version;
	up.kind_case = HANDFAST__V1__DISCOVERY_UP__KIND_ACK;
	up.ack = &ack;
	send_up(watch, &up);
}

static void keep_digest(struct watch *watch, const Handfast__Herd__Answer *answer)
{
	static const uint8_t none[sizeof *watch->known];
	struct ip_addr ip;
	if (answer->digest.len != sizeof none || answer->destination == NULL ||
		ip_addr_from_bytes(pb_span(answer->destination->ip), &ip) != ERR_NONE)
		return;
	for (size_t i = 0; i < watch->num; i++)
		if (ip_addr_eq(&ip, &watch->destinations[i].ip)) {
			watch->num_answers += memcmp(watch->known[i], none, sizeof none) == 0;
			memcpy(watch->known[i], answer->digest.data, sizeof none);
		}
}

static void take_answers(struct watch *watch, const Handfast__Herd__Answers *answers)
{
	if (answers->n_answers == 0)
		return;
	send_ack(watch, answers->answers[answers->n_answers - 1]->version);
	bool had_all = has_all(watch);
	for (size_t i = 0; i < answers->n_answers; i++)
		keep_digest(watch, answers->answers[i]);
	if (!had_all && has_all(watch))
		watch->on_event(watch->arg, WATCH_ANSWERS);
}

static void on_message(void *arg, _unused_ struct rpc_call *call, struct span message)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	struct watch *watch = arg;
	ProtobufCMessage *unpacked;
	if (pb_unpack(&handfast__herd__down__descriptor, message, &arena, &unpacked, NULL) != ERR_NONE)
		return;
	const Handfast__Herd__Down *down = (const Handfast__Herd__Down *)(const void *)unpacked;
	if (down->kind_case == HANDFAST__HERD__DOWN__KIND_MESH) {
		send_ack(watch, down->mesh->version);
		watch->on_event(watch->arg, WATCH_MESH);
	} else if (down->kind_case == HANDFAST__HERD__DOWN__KIND_ANSWERS) {
		take_answers(watch, down->answers);
	}
}

/* The connection ends with it or goes on without it; a herd does not open another one on the same connection. */
static void on_done(void *arg, _unused_ struct rpc_call *call, _unused_ enum rpc_status status,
	_unused_ const char *message, _unused_ uint32_t retry_after_ms)
{
	((struct watch *)arg)->call = NULL;
}

void watch_attach(struct watch *watch, struct rpc_client *connection)
{
	static const struct rpc_call_handlers handlers = {.on_message = on_message, .on_done = on_done};
	watch->call = NULL;
	if (connection == NULL || watch->num == 0)
		return;
	if (rpc_client_call(connection, "/handfast.v1.Discovery/Stream", 0, &handlers, watch, &watch->call) !=
		ERR_NONE) {
		watch->call = NULL;
		return;
	}
	send_hello(watch);
	send_subscriptions(watch);
}
