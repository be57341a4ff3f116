/* Messages to sidecars. */
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "control/registry/svid_holders.h"
#include "control/serve/messages.h"
#include "proto/handfast/v1/enrollment.pb-c.h"
#include "proto/handfast/v1/identity.pb-c.h"

struct ban_list { /* repeated bytes, growing; the texts are borrowed from the store */
	ProtobufCBinaryData *items;
	size_t num, cap;
};

static void add_ban(void *arg, struct span id, _unused_ int64_t since_s)
{
	struct ban_list *bans = arg;
	if (bans->num == bans->cap) {
		bans->cap = bans->cap == 0 ? 16 : 2 * bans->cap;
		bans->items = mem_realloc(bans->items, bans->cap * sizeof *bans->items);
	}
	bans->items[bans->num++] = pb_bytes(id);
}

struct trust_message { /* a TrustState and the memory that it points to */
	Handfast__V1__TrustState state;
	Handfast__V1__Epoch epoch;
	Handfast__V1__Bundle bundle, *bundles[1];
	ProtobufCBinaryData roots[1];
	struct ban_list bans;
};

static void trust_message_done(struct trust_message *message)
{
	mem_free(message->bans.items);
}

static void fill_trust(const struct trust *trust, struct trust_message *out)
{
	struct epoch epoch = trust_epoch(trust);
	handfast__v1__trust_state__init(&out->state);
	handfast__v1__epoch__init(&out->epoch);
	handfast__v1__bundle__init(&out->bundle);
	out->epoch.incarnation = epoch.incarnation;
	out->epoch.counter = epoch.counter;
	out->roots[0] = pb_bytes(trust_root(trust));
	out->bundle.trust_domain = pb_bytes(span_of_str(trust_domain_of(trust)->name));
	out->bundle.roots = out->roots;
	out->bundle.n_roots = 1;
	out->bundles[0] = &out->bundle;
	svid_holders_list_bans(trust_store(trust), add_ban, &out->bans);
	out->state.epoch = &out->epoch;
	out->state.bundles = out->bundles;
	out->state.n_bundles = 1;
	out->state.banned_ids = out->bans.items;
	out->state.n_banned_ids = out->bans.num;
}

struct svid_message {
	Handfast__V1__Svid svid;
	ProtobufCBinaryData chain[8];
};

static void fill_svid(const struct svid_down *svid, struct svid_message *out)
{
	handfast__v1__svid__init(&out->svid);
	out->svid.chain = out->chain;
	for (; out->svid.n_chain < svid->num_chain && out->svid.n_chain < 8; out->svid.n_chain++)
		out->chain[out->svid.n_chain] = pb_bytes(svid->chain[out->svid.n_chain]);
}

enum err attest_down_encode(const struct trust *trust, const struct svid_down *svid, int64_t now_ms, struct buf *out)
{
	Handfast__V1__AttestResponse message = HANDFAST__V1__ATTEST_RESPONSE__INIT;
	_cleanup_(trust_message_done) struct trust_message state = {0};
	struct svid_message chain = {0};
	fill_trust(trust, &state);
	fill_svid(svid, &chain);
	message.svid = &chain.svid;
	message.trust = &state.state;
	message.server_time_ms = now_ms;
	return pb_pack(&message.base, out);
}

enum err identity_trust_encode(const struct trust *trust, int64_t now_ms, struct buf *out)
{
	Handfast__V1__IdentityDown message = HANDFAST__V1__IDENTITY_DOWN__INIT;
	_cleanup_(trust_message_done) struct trust_message state = {0};
	fill_trust(trust, &state);
	message.server_time_ms = now_ms;
	message.kind_case = HANDFAST__V1__IDENTITY_DOWN__KIND_TRUST;
	message.trust = &state.state;
	return pb_pack(&message.base, out);
}

enum err identity_renewed_encode(uint64_t request_id, const struct svid_down *svid, const char *refused_reason,
	uint32_t retry_after_ms, int64_t now_ms, struct buf *out)
{
	Handfast__V1__IdentityDown message = HANDFAST__V1__IDENTITY_DOWN__INIT;
	Handfast__V1__RenewResponse renewed = HANDFAST__V1__RENEW_RESPONSE__INIT;
	struct svid_message chain = {0};
	renewed.request_id = request_id;
	if (svid != NULL) {
		fill_svid(svid, &chain);
		renewed.svid = &chain.svid;
	} else {
		renewed.refused_reason = pb_bytes(span_of_str(refused_reason));
		renewed.retry_after_ms = retry_after_ms;
	}
	message.server_time_ms = now_ms;
	message.kind_case = HANDFAST__V1__IDENTITY_DOWN__KIND_RENEWED;
	message.renewed = &renewed;
	return pb_pack(&message.base, out);
}

enum err identity_claim_encode(
	const struct ip_addr *ip, const char *refused_reason, uint32_t retry_after_ms, int64_t now_ms, struct buf *out)
{
	Handfast__V1__IdentityDown message = HANDFAST__V1__IDENTITY_DOWN__INIT;
	Handfast__V1__ClaimResult result = HANDFAST__V1__CLAIM_RESULT__INIT;
	Handfast__V1__SocketAddress address = HANDFAST__V1__SOCKET_ADDRESS__INIT;
	address.ip = pb_bytes(ip_addr_bytes(ip));
	result.address = &address;
	if (refused_reason != NULL) {
		result.refused_reason = pb_bytes(span_of_str(refused_reason));
		result.retry_after_ms = retry_after_ms;
	}
	message.server_time_ms = now_ms;
	message.kind_case = HANDFAST__V1__IDENTITY_DOWN__KIND_CLAIM_RESULT;
	message.claim_result = &result;
	return pb_pack(&message.base, out);
}
