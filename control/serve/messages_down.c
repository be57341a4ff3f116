/* Messages to sidecars. */
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "control/registry/revocations.h"
#include "control/registry/svid_holders.h"
#include "control/serve/messages.h"
#include "proto/handfast/v1/enrollment.pb-c.h"
#include "proto/handfast/v1/identity.pb-c.h"

#define SERIALS_MAX (65536u * REVOCATIONS_SERIAL_MAX)

struct ban_list { /* repeated bytes, growing; the texts are borrowed from the store */
	ProtobufCBinaryData *items;
	size_t num, cap;
};

static void grow(struct ban_list *bans)
{
	if (bans->num < bans->cap)
		return;
	bans->cap = bans->cap == 0 ? 16 : 2 * bans->cap;
	bans->items = mem_realloc(bans->items, bans->cap * sizeof *bans->items);
}

static void add_ban(void *arg, struct span id, _unused_ int64_t since_s)
{
	struct ban_list *bans = arg;
	grow(bans);
	bans->items[bans->num++] = pb_bytes(id);
}

/* The serials are copied: the store has them as digits. */
struct serial_list {
	struct ban_list list;
	struct buf bytes;
};

static void add_serial(void *arg, const struct revocation *revocation)
{
	struct serial_list *serials = arg;
	grow(&serials->list);
	if (buf_append(&serials->bytes, revocation->serial) == ERR_NONE)
		serials->list.items[serials->list.num++] = (ProtobufCBinaryData){.len = revocation->serial.len};
}

/* The buffer does not move any more. */
static void point_into(struct serial_list *serials)
{
	size_t at = 0;
	for (size_t i = 0; i < serials->list.num; i++) {
		serials->list.items[i].data = (uint8_t *)(uintptr_t)buf_span(&serials->bytes).ptr + at;
		at += serials->list.items[i].len;
	}
}

struct partner_message {
	Handfast__V1__Bundle bundle;
	ProtobufCBinaryData roots[BUNDLE_ROOTS_MAX], jwt_keys[BUNDLE_JWT_KEYS_MAX], jwt_kids[BUNDLE_JWT_KEYS_MAX];
};

struct trust_message { /* a TrustState and the memory that it points to */
	Handfast__V1__TrustState state;
	Handfast__V1__Epoch epoch;
	Handfast__V1__Bundle bundle, *bundles[1 + BUNDLE_SET_MAX];
	struct partner_message *partners;
	ProtobufCBinaryData roots[sizeof(((struct rotation_roots *)0)->der) / sizeof(struct span)];
	ProtobufCBinaryData jwt_keys[BUNDLE_JWT_KEYS_MAX];
	ProtobufCBinaryData pins[sizeof(((struct bootstrap_pins *)0)->sha256) / DIGEST_LEN];
	struct buf crl_ders[BUNDLE_CRLS_MAX];
	ProtobufCBinaryData crls[BUNDLE_CRLS_MAX];
	struct ban_list bans;
	struct serial_list serials;
};

static void trust_message_done(struct trust_message *message)
{
	mem_free(message->bans.items);
	mem_free(message->partners);
	mem_free(message->serials.list.items);
	buf_done(&message->serials.bytes);
	for (size_t i = 0; i < BUNDLE_CRLS_MAX; i++)
		buf_done(&message->crl_ders[i]);
}

static void fill_lists(const struct bundle_set *bundles, struct span domain, struct trust_message *out)
{
	size_t num = bundle_set_num_crls(bundles, domain);
	CHECK(num <= BUNDLE_CRLS_MAX);
	for (size_t i = 0; i < num; i++) {
		buf_init(&out->crl_ders[i], CRL_FILE_BYTES_MAX);
		CHECK(bundle_set_put_crl(bundles, domain, i, &out->crl_ders[i]) == ERR_NONE);
		out->crls[i] = pb_bytes(buf_span(&out->crl_ders[i]));
	}
	out->bundle.crls = out->crls;
	out->bundle.n_crls = num;
}

static void fill_jwt_keys(
	const struct bundle_set *bundles, struct span domain, Handfast__V1__Bundle *message, ProtobufCBinaryData *keys)
{
	message->jwt_keys = keys;
	message->n_jwt_keys = bundle_set_num_jwt_keys(bundles, domain);
	for (size_t i = 0; i < message->n_jwt_keys; i++)
		keys[i] = pb_bytes(bundle_set_jwt_key(bundles, domain, i));
}

static void fill_partner(const struct bundle_set *bundles, const struct bundle *bundle, struct partner_message *out)
{
	struct span domain = span_of_str(bundle_trust_domain(bundle)->name);
	handfast__v1__bundle__init(&out->bundle);
	for (size_t i = 0; i < bundle_num_all(bundle); i++)
		out->roots[i] = pb_bytes(bundle_root(bundle, i));
	out->bundle.trust_domain = pb_bytes(domain);
	out->bundle.roots = out->roots;
	out->bundle.n_roots = bundle_num_roots(bundle);
	out->bundle.retired_roots = out->roots + out->bundle.n_roots;
	out->bundle.n_retired_roots = bundle_num_all(bundle) - out->bundle.n_roots;
	fill_jwt_keys(bundles, domain, &out->bundle, out->jwt_keys);
	out->bundle.jwt_kids = out->jwt_kids;
	out->bundle.n_jwt_kids = out->bundle.n_jwt_keys;
	for (size_t i = 0; i < out->bundle.n_jwt_kids; i++)
		out->jwt_kids[i] = pb_bytes(span_of_str(bundle_set_jwt_kid(bundles, domain, i)));
}

/* The own bundle is the first of the set. */
static void fill_partners(const struct bundle_set *bundles, struct trust_message *out)
{
	size_t num = bundle_set_num(bundles);
	out->partners = mem_calloc(num, sizeof(*out->partners));
	for (size_t i = 1; i < num; i++) {
		fill_partner(bundles, bundle_set_at(bundles, i), &out->partners[i]);
		out->bundles[out->state.n_bundles++] = &out->partners[i].bundle;
	}
}

static void fill_trust(const struct trust *trust, bool takes_lists, struct trust_message *out)
{
	struct epoch epoch = trust_epoch(trust);
	handfast__v1__trust_state__init(&out->state);
	handfast__v1__epoch__init(&out->epoch);
	handfast__v1__bundle__init(&out->bundle);
	out->epoch.incarnation = epoch.incarnation;
	out->epoch.counter = epoch.counter;
	const struct rotation_roots *roots = trust_roots(trust);
	for (size_t i = 0; i < roots->num_all; i++)
		out->roots[i] = pb_bytes(roots->der[i]);
	out->bundle.trust_domain = pb_bytes(span_of_str(trust_domain_of(trust)->name));
	out->bundle.roots = out->roots;
	out->bundle.n_roots = roots->num_all - roots->num_retired;
	out->bundle.retired_roots = out->roots + out->bundle.n_roots;
	out->bundle.n_retired_roots = roots->num_retired;
	const struct bundle_set *bundles = trust_bundles(trust);
	struct span domain = span_of_str(trust_domain_of(trust)->name);
	if (takes_lists)
		fill_lists(bundles, domain, out);
	fill_jwt_keys(bundles, domain, &out->bundle, out->jwt_keys);
	out->bundles[0] = &out->bundle;
	const struct bootstrap_pins *pins = trust_pins(trust);
	for (size_t i = 0; i < pins->num; i++)
		out->pins[i] = pb_bytes(span_of(pins->sha256[i], DIGEST_LEN));
	out->state.bootstrap_root_sha256 = out->pins;
	out->state.n_bootstrap_root_sha256 = pins->num;
	svid_holders_list_bans(trust_store(trust), add_ban, &out->bans);
	out->state.epoch = &out->epoch;
	out->state.bundles = out->bundles;
	out->state.n_bundles = 1;
	fill_partners(bundles, out);
	out->state.banned_ids = out->bans.items;
	out->state.n_banned_ids = out->bans.num;
	buf_init(&out->serials.bytes, SERIALS_MAX);
	revocations_list(trust_store(trust), add_serial, &out->serials);
	point_into(&out->serials);
	out->state.revoked_serials = out->serials.list.items;
	out->state.n_revoked_serials = out->serials.list.num;
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
	fill_trust(trust, svid->takes_lists, &state);
	fill_svid(svid, &chain);
	message.svid = &chain.svid;
	message.trust = &state.state;
	message.server_time_ms = now_ms;
	message.streams_here = svid->streams_here;
	return pb_pack(&message.base, out);
}

enum err identity_trust_encode(
	const struct trust *trust, bool takes_lists, uint32_t report_each_s, int64_t now_ms, struct buf *out)
{
	Handfast__V1__IdentityDown message = HANDFAST__V1__IDENTITY_DOWN__INIT;
	_cleanup_(trust_message_done) struct trust_message state = {0};
	fill_trust(trust, takes_lists, &state);
	message.server_time_ms = now_ms;
	message.report_each_s = report_each_s;
	message.kind_case = HANDFAST__V1__IDENTITY_DOWN__KIND_TRUST;
	message.trust = &state.state;
	return pb_pack(&message.base, out);
}

enum err identity_renewed_encode(uint64_t request_id, const struct svid_down *svid, const char *refused_reason,
	uint32_t retry_after_ms, int64_t now_ms, struct buf *out)
{
	Handfast__V1__IdentityDown message = HANDFAST__V1__IDENTITY_DOWN__INIT;
	Handfast__V1__RenewResponse renewed = HANDFAST__V1__RENEW_RESPONSE__INIT;
	_cleanup_(trust_message_done) struct trust_message state = {0};
	struct svid_message chain = {0};
	renewed.request_id = request_id;
	if (svid != NULL) {
		fill_svid(svid, &chain);
		renewed.svid = &chain.svid;
		if (svid->trust != NULL) {
			fill_trust(svid->trust, svid->takes_lists, &state);
			renewed.trust = &state.state;
		}
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

enum err identity_slot_encode(uint32_t within_ms, int64_t now_ms, struct buf *out)
{
	Handfast__V1__IdentityDown message = HANDFAST__V1__IDENTITY_DOWN__INIT;
	Handfast__V1__RenewSlot slot = HANDFAST__V1__RENEW_SLOT__INIT;
	slot.within_ms = within_ms;
	message.server_time_ms = now_ms;
	message.kind_case = HANDFAST__V1__IDENTITY_DOWN__KIND_SLOT;
	message.slot = &slot;
	return pb_pack(&message.base, out);
}

enum err jwt_down_encode(struct span token, struct buf *out)
{
	Handfast__V1__JwtResponse message = HANDFAST__V1__JWT_RESPONSE__INIT;
	message.token = pb_bytes(token);
	return pb_pack(&message.base, out);
}
