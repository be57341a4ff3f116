#include "control/serve/operator_messages.h"
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "control/serve/reach_message.h"
#include "proto/handfast/v1/operator.pb-c.h"

static enum err copy_request(
	const Handfast__V1__TokenCreateRequest *message, struct token_request *out, struct why *why)
{
	if (message->id.len > SPIFFE_ID_MAX || message->n_networks > OPERATOR_NETWORKS_MAX)
		return why_set(why, ERR_TOO_LARGE, "a SPIFFE ID and at most 16 networks", "name fewer networks",
			"the request has more");
	if (message->id.len > 0)
		memcpy(out->id, message->id.data, message->id.len);
	out->id_len = message->id.len;
	out->ttl_s = message->ttl_seconds;
	for (; out->num_networks < message->n_networks; out->num_networks++) {
		struct span text = pb_span(message->networks[out->num_networks]);
		if (network_parse(text, &out->networks[out->num_networks]) != ERR_NONE)
			return why_set(why, ERR_MALFORMED, "a network such as 192.0.2.0/24", "correct the network",
				"'%.*s' is not a network", (int)text.len, (const char *)text.ptr);
	}
	return ERR_NONE;
}

enum err token_request_parse(struct span bytes, struct token_request *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	*out = (struct token_request){0};
	RETURN_IF_ERR(pb_unpack(&handfast__v1__token_create_request__descriptor, bytes, &arena, &unpacked, why));
	return copy_request((const Handfast__V1__TokenCreateRequest *)unpacked, out, why);
}

enum err token_answer_encode(struct span line, struct span id, int64_t expires_ms, struct buf *out)
{
	Handfast__V1__TokenCreateResponse message = HANDFAST__V1__TOKEN_CREATE_RESPONSE__INIT;
	message.token = pb_bytes(line);
	message.token_id = pb_bytes(id);
	message.expires_ms = expires_ms;
	return pb_pack(&message.base, out);
}

enum err ban_request_parse(struct span bytes, struct spiffe_id *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__ban_request__descriptor, bytes, &arena, &unpacked, why));
	return spiffe_id_parse(pb_span(((const Handfast__V1__BanRequest *)unpacked)->id), out, why);
}

enum err ban_answer_encode(
	uint32_t num_svid_holders, uint32_t num_tokens, bool is_unknown, const struct reach *reach, struct buf *out)
{
	Handfast__V1__BanResponse message = HANDFAST__V1__BAN_RESPONSE__INIT;
	Handfast__V1__Reach reached;
	message.reach = reach_fill(reach, &reached);
	message.num_svid_holders = num_svid_holders;
	message.num_tokens = num_tokens;
	message.unknown = is_unknown;
	return pb_pack(&message.base, out);
}

enum err unban_request_parse(struct span bytes, struct spiffe_id *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__unban_request__descriptor, bytes, &arena, &unpacked, why));
	return spiffe_id_parse(pb_span(((const Handfast__V1__UnbanRequest *)unpacked)->id), out, why);
}

enum err unban_answer_encode(bool was_banned, const struct reach *reach, struct buf *out)
{
	Handfast__V1__UnbanResponse message = HANDFAST__V1__UNBAN_RESPONSE__INIT;
	Handfast__V1__Reach reached;
	message.reach = reach_fill(reach, &reached);
	message.was_banned = was_banned;
	return pb_pack(&message.base, out);
}

enum err revoke_request_parse(struct span bytes, uint8_t out[JOIN_TOKEN_ID_LEN], struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__token_revoke_request__descriptor, bytes, &arena, &unpacked, why));
	struct span id = pb_span(((const Handfast__V1__TokenRevokeRequest *)unpacked)->token_id);
	if (id.len != JOIN_TOKEN_ID_LEN)
		return why_set(why, ERR_MALFORMED, "a token id of 16 bytes", "see `handfast token list`",
			"the token id has %zu bytes", id.len);
	memcpy(out, id.ptr, id.len);
	return ERR_NONE;
}

enum err revoke_answer_encode(bool was_there, bool was_used, const struct spiffe_id *id, struct buf *out)
{
	Handfast__V1__TokenRevokeResponse message = HANDFAST__V1__TOKEN_REVOKE_RESPONSE__INIT;
	message.was_there = was_there;
	message.was_used = was_used;
	if (id != NULL)
		message.id = pb_bytes(spiffe_id_text(id));
	return pb_pack(&message.base, out);
}

enum err release_request_parse(struct span bytes, struct ip_addr *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__release_request__descriptor, bytes, &arena, &unpacked, why));
	if (ip_addr_from_bytes(pb_span(((const Handfast__V1__ReleaseRequest *)unpacked)->ip), out) != ERR_NONE)
		return why_set(why, ERR_MALFORMED, "an address of 4 or 16 bytes", "correct the address",
			"the request has no such address");
	return ERR_NONE;
}

enum err release_answer_encode(bool was_held, bool was_connected, struct buf *out)
{
	Handfast__V1__ReleaseResponse message = HANDFAST__V1__RELEASE_RESPONSE__INIT;
	message.was_held = was_held;
	message.was_connected = was_connected;
	return pb_pack(&message.base, out);
}

/* --- status --- */

struct svid_holder_message {
	Handfast__V1__SvidHolder svid_holder;
	Handfast__V1__Epoch acked;
	Handfast__V1__SidecarHealth health;
	Handfast__V1__SocketAddress addresses[STATUS_ADDRESSES_MAX], *address_list[STATUS_ADDRESSES_MAX];
};

/* Empty where there is no key. */
static ProtobufCBinaryData key_message(const uint8_t key_hash[DIGEST_LEN])
{
	static const uint8_t none[DIGEST_LEN];
	return pb_bytes(span_of(key_hash, memcmp(key_hash, none, DIGEST_LEN) == 0 ? 0 : DIGEST_LEN));
}

static void fill_svid_holder(const struct status_svid_holder *from, struct svid_holder_message *out)
{
	handfast__v1__svid_holder__init(&out->svid_holder);
	handfast__v1__epoch__init(&out->acked);
	for (size_t i = 0; i < from->num_addresses; i++) {
		handfast__v1__socket_address__init(&out->addresses[i]);
		out->addresses[i].ip = pb_bytes(ip_addr_bytes(&from->addresses[i]));
		out->address_list[i] = &out->addresses[i];
	}
	out->acked.incarnation = from->acked.incarnation;
	out->acked.counter = from->acked.counter;
	out->svid_holder.id = pb_bytes(span_of_str(from->id));
	out->svid_holder.attestation_key_sha256 = key_message(from->key_hash);
	out->svid_holder.addresses = out->address_list;
	out->svid_holder.n_addresses = from->num_addresses;
	out->svid_holder.connected = from->is_connected;
	out->svid_holder.svid_not_after_ms = from->not_after_ms;
	out->svid_holder.svid_serial = pb_bytes(from->serial);
	out->svid_holder.acked = &out->acked;
	out->svid_holder.banned = from->is_banned;
	out->svid_holder.copied = from->is_copied;
	out->svid_holder.draining = from->is_draining;
	handfast__v1__sidecar_health__init(&out->health);
	out->health.ready = from->health.is_ready;
	out->health.conditions = from->health.conditions;
	out->svid_holder.health = from->health.is_reported ? &out->health : NULL;
	out->svid_holder.release = pb_bytes(span_of_str(from->release));
}

struct authority_message {
	Handfast__V1__Authority authority;
	uint8_t hash[DIGEST_LEN];
};

static void fill_authority(const struct status_authority *from, struct authority_message *out)
{
	handfast__v1__authority__init(&out->authority);
	digest_sha256(from->der, out->hash);
	out->authority.kind = pb_bytes(span_of_str(from->kind));
	out->authority.sha256 = pb_bytes(span_of(out->hash, DIGEST_LEN));
	out->authority.not_before_ms = from->not_before_ms;
	out->authority.not_after_ms = from->not_after_ms;
}

static void fill_condition(const struct status_condition *from, Handfast__V1__Condition *out)
{
	handfast__v1__condition__init(out);
	out->name = pb_bytes(span_of_str(from->name));
	out->detail = pb_bytes(span_of_str(from->detail.got));
	out->fix = pb_bytes(span_of_str(from->detail.fix));
}

static void fill_status(const struct status *status, Handfast__V1__StatusResponse *out, Handfast__V1__Epoch *epoch)
{
	epoch->incarnation = status->epoch.incarnation;
	epoch->counter = status->epoch.counter;
	out->release = pb_bytes(span_of_str(status->release));
	out->trust_domain = pb_bytes(span_of_str(status->trust_domain));
	out->epoch = epoch;
	out->num_streams = status->num_streams;
	out->num_connected = status->num_connected;
	out->num_left_out = status->num_left_out;
	out->svids_issued = status->svids_issued;
	out->server_time_ms = status->server_time_ms;
	out->started_ms = status->started_ms;
}

enum err status_encode(const struct status *status, struct buf *out)
{
	Handfast__V1__StatusResponse message = HANDFAST__V1__STATUS_RESPONSE__INIT;
	Handfast__V1__Epoch epoch = HANDFAST__V1__EPOCH__INIT;
	_cleanup_(mem_freep) struct svid_holder_message *svid_holders =
		mem_calloc(status->num_svid_holders, sizeof *svid_holders);
	_cleanup_(mem_freep) Handfast__V1__SvidHolder **svid_holder_list =
		mem_calloc(status->num_svid_holders, sizeof *svid_holder_list);
	_cleanup_(mem_freep) struct authority_message *authorities =
		mem_calloc(status->num_authorities, sizeof *authorities);
	_cleanup_(mem_freep) Handfast__V1__Authority **authority_list =
		mem_calloc(status->num_authorities, sizeof *authority_list);
	Handfast__V1__Condition conditions[STATUS_CONDITIONS_MAX], *condition_list[STATUS_CONDITIONS_MAX];
	fill_status(status, &message, &epoch);
	for (size_t i = 0; i < status->num_conditions; i++) {
		fill_condition(&status->conditions[i], &conditions[i]);
		condition_list[i] = &conditions[i];
	}
	message.conditions = condition_list;
	message.n_conditions = status->num_conditions;
	for (size_t i = 0; i < status->num_svid_holders; i++) {
		fill_svid_holder(&status->svid_holders[i], &svid_holders[i]);
		svid_holder_list[i] = &svid_holders[i].svid_holder;
	}
	for (size_t i = 0; i < status->num_authorities; i++) {
		fill_authority(&status->authorities[i], &authorities[i]);
		authority_list[i] = &authorities[i].authority;
	}
	message.svid_holders = svid_holder_list;
	message.n_svid_holders = status->num_svid_holders;
	message.authorities = authority_list;
	message.n_authorities = status->num_authorities;
	return pb_pack(&message.base, out);
}
