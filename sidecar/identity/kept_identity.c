#include "sidecar/identity/kept_identity.h"

#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "proto/handfast/v1/kept.pb-c.h"
#include "sidecar/identity/trust_parse.h"
#include <stdio.h>

enum { KEY_MAX = 1024 };

void kept_identity_done(struct kept_identity *kept)
{
	spiffe_id_done(&kept->id);
	svid_unref(kept->svid);
	private_key_unref(kept->key);
	trust_done(&kept->trust);
	bundle_set_unref(kept->retained);
	*kept = (struct kept_identity){0};
}

/* --- encode --- */

struct byte_list {
	ProtobufCBinaryData *list;
	size_t num;
};

static void add(struct byte_list *bytes, struct span one)
{
	bytes->list = mem_realloc(bytes->list, (bytes->num + 1) * sizeof *bytes->list);
	bytes->list[bytes->num++] = pb_bytes(one);
}

static void add_ban(void *arg, const struct spiffe_id *id)
{
	add(arg, span_of_str(id->text));
}

static void add_serial(void *arg, struct span serial)
{
	add(arg, serial);
}

static void put_chain(struct svid *svid, ProtobufCBinaryData chain[SVID_CHAIN_MAX], Handfast__V1__Svid *out)
{
	out->n_chain = svid_num_chain(svid);
	for (size_t i = 0; i < out->n_chain; i++)
		chain[i] = pb_bytes(svid_cert(svid, i));
	out->chain = chain;
}

enum err kept_identity_encode(const struct kept_identity *kept, struct buf *out)
{
	Handfast__V1__KeptIdentity message = HANDFAST__V1__KEPT_IDENTITY__INIT;
	Handfast__V1__Epoch before = HANDFAST__V1__EPOCH__INIT;
	Handfast__V1__Svid svid = HANDFAST__V1__SVID__INIT;
	ProtobufCBinaryData chain[SVID_CHAIN_MAX];
	_cleanup_(buf_wipe) struct buf key = BUF_INIT(KEY_MAX);
	before.incarnation = kept->before.incarnation;
	before.counter = kept->before.counter;
	message.before = &before;
	message.id = pb_bytes(span_of_str(kept->id.text));
	message.not_after_s = kept->not_after_s;
	message.time_ms = kept->time_ms;
	message.boot_ms = kept->boot_ms;
	message.boot_id = pb_bytes(span_of_str(kept->boot_id));
	message.trust = pb_bytes(buf_span(&kept->trust.encoded));
	if (kept->svid != NULL && kept->key != NULL) {
		RETURN_IF_ERR(private_key_encode(kept->key, &key));
		put_chain(kept->svid, chain, &svid);
		message.svid = &svid;
		message.key = pb_bytes(buf_span(&key));
	}
	struct byte_list bans = {0}, serials = {0};
	if (kept->retained != NULL) {
		bundle_set_each_ban(kept->retained, add_ban, &bans);
		bundle_set_each_revoked(kept->retained, add_serial, &serials);
	}
	message.n_retained_bans = bans.num;
	message.retained_bans = bans.list;
	message.n_retained_serials = serials.num;
	message.retained_serials = serials.list;
	enum err err = pb_pack(&message.base, out);
	mem_free(bans.list);
	mem_free(serials.list);
	return err;
}

/* --- parse --- */

static enum err refuse(struct why *why, const char *fault)
{
	return why_set(why, ERR_MALFORMED, "an identity as this release keeps it",
		"none: it is written again as soon as there is a control plane", "%s", fault);
}

static enum err read_svid(const Handfast__V1__KeptIdentity *message, struct kept_identity *kept, struct why *why)
{
	struct span chain[SVID_CHAIN_MAX];
	if (message->svid == NULL)
		return ERR_NONE;
	if (message->svid->n_chain == 0 || message->svid->n_chain > SVID_CHAIN_MAX)
		return refuse(why, "the kept SVID has no chain of 1 to 4 certificates");
	for (size_t i = 0; i < message->svid->n_chain; i++)
		chain[i] = pb_span(message->svid->chain[i]);
	RETURN_IF_ERR(svid_parse(chain, message->svid->n_chain, &kept->svid, why));
	RETURN_IF_ERR(private_key_parse(pb_span(message->key), &kept->key, why));
	return spiffe_id_eq(svid_id(kept->svid), &kept->id) ? ERR_NONE
							    : refuse(why, "the kept SVID is of another identity");
}

static enum err read_trust(
	const Handfast__V1__KeptIdentity *message, const struct trust_domain *own, struct trust *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *trust;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__trust_state__descriptor, pb_span(message->trust), &arena, &trust, why));
	if (trust_parse((const Handfast__V1__TrustState *)(const void *)trust, own, out) == ERR_NONE)
		return ERR_NONE;
	if (why != NULL)
		*why = out->detail;
	return out->detail.err;
}

/* The set is not shared yet. */
static enum err read_retained(const Handfast__V1__KeptIdentity *message, struct kept_identity *kept, struct why *why)
{
	if (message->n_retained_bans > TRUST_BANNED_MAX || message->n_retained_serials > TRUST_REVOKED_MAX)
		return refuse(why, "more than 65,536 bans or serials are kept");
	kept->retained = bundle_set_new();
	for (size_t i = 0; i < message->n_retained_bans; i++) {
		_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
		RETURN_IF_ERR(spiffe_id_parse(pb_span(message->retained_bans[i]), &id, why));
		bundle_set_ban_id(kept->retained, &id);
		bundle_set_ban_id(kept->trust.bundles, &id);
	}
	for (size_t i = 0; i < message->n_retained_serials; i++) {
		RETURN_IF_ERR(bundle_set_revoke(kept->retained, pb_span(message->retained_serials[i])));
		RETURN_IF_ERR(bundle_set_revoke(kept->trust.bundles, pb_span(message->retained_serials[i])));
	}
	return ERR_NONE;
}

static enum err read_all(const Handfast__V1__KeptIdentity *message, const struct trust_domain *own,
	struct kept_identity *kept, struct why *why)
{
	RETURN_IF_ERR(spiffe_id_parse(pb_span(message->id), &kept->id, why));
	if (!spiffe_id_in_trust_domain(&kept->id, own))
		return why_set(why, ERR_WRONG_PEER, "an identity of this sidecar's trust domain",
			"none: it is written again as soon as there is a control plane", "the kept identity is %s",
			kept->id.text);
	if (message->before == NULL || message->boot_id.len >= BOOT_ID_MAX)
		return refuse(why, "the kept identity has no epoch, or no boot id");
	kept->before = (struct epoch){message->before->incarnation, message->before->counter};
	kept->not_after_s = message->not_after_s;
	kept->time_ms = message->time_ms;
	kept->boot_ms = message->boot_ms;
	(void)snprintf(kept->boot_id, sizeof kept->boot_id, "%.*s", (int)message->boot_id.len,
		message->boot_id.len == 0 ? "" : (const char *)message->boot_id.data);
	RETURN_IF_ERR(read_svid(message, kept, why));
	RETURN_IF_ERR(read_trust(message, own, &kept->trust, why));
	return read_retained(message, kept, why);
}

enum err kept_identity_parse(
	struct span bytes, const struct trust_domain *own, struct kept_identity *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *read;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__kept_identity__descriptor, bytes, &arena, &read, why));
	struct kept_identity kept = {0};
	enum err err = read_all((const Handfast__V1__KeptIdentity *)(const void *)read, own, &kept, why);
	if (err != ERR_NONE)
		kept_identity_done(&kept);
	else
		*out = kept;
	return err;
}
