/* Addresses on the identity stream: claims, releases and draining; and refused claims that are tried again when the
 * obstacle is gone.
 */
#include "base/core/check.h"
#include "base/core/log.h"
#include "certs/public_key.h"
#include "certs/svid.h"
#include "control/serve/identity_stream.h"

enum {
	/* A sidecar may claim again after this time; when the address becomes free, the claim is granted without that.
	 */
	REFUSED_RETRY_MS = 30000, /* lost() and handfast entry release state it */
	FAILED_RETRY_MS = 2000,
};

static struct registry *registry_of(const struct identity_stream *stream)
{
	return stream->serve->options.registry;
}

/* Each change is stored and may be sent to many sidecars: a sidecar needs one rarely (finding L6). */
static enum err may_change(const struct identity_stream *stream, struct why *why)
{
	const struct sidecar *sidecar = stream->sidecar;
	struct share_key key =
		share_key_joined(share_key_of_ip(&sidecar->source), share_key_of_bytes(spiffe_id_text(&sidecar->id)));
	if (rates_take(stream->serve->change_rates, &key, loop_now_ms(stream->serve->options.loop)))
		return ERR_NONE;
	serve_count(stream->serve, CONTROL_CHANGES_LIMITED);
	return why_set(why, ERR_LIMIT, "at most one change of its address per second", "update the sidecar",
		"the sidecar changes its address more often");
}

/* --- messages to the sidecar --- */

static void send_granted(struct identity_stream *stream)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(4096);
	enum err err = identity_claim_encode(&stream->sidecar->source, NULL, 0, serve_now_ms(stream->serve), &message);
	identity_stream_send(stream, err, &message);
}

static void send_refused(struct identity_stream *stream, const struct why *why, uint32_t retry_ms)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(4096);
	const struct sidecar *sidecar = stream->sidecar;
	char text[700], address[ADDR_TEXT_MAX];
	why_format(why, text, sizeof text);
	if (limited_log_allows_identity(stream->serve->lines, sidecar->id.text, "claim refused"))
		log_warning("audit", "claim refused: %s for %s: %s", sidecar->id.text,
			ip_addr_format(&sidecar->source, address), text);
	enum err err = identity_claim_encode(&sidecar->source, text, retry_ms, serve_now_ms(stream->serve), &message);
	identity_stream_send(stream, err, &message);
}

/* --- claims --- */

/* What hello has reported, which may come before the claim is stored. Compared with what the address has, not with this
 * stream's hello of before: one connection may open any number of streams. The first zone of a claim is free. */
static enum err show_hello(const struct identity_stream *stream, struct why *why)
{
	const struct sidecar *sidecar = stream->sidecar;
	const struct registry_reported now = registry_reported(registry_of(stream), &sidecar->source);
	bool is_other_zone = now.zone != 0 && now.zone != stream->zone;
	if (!stream->holds_address)
		return ERR_NONE;
	if (is_other_zone || now.is_draining != stream->is_draining)
		RETURN_IF_ERR(may_change(stream, why));
	registry_set_zone(registry_of(stream), &sidecar->id, &sidecar->source, stream->zone);
	registry_set_draining(registry_of(stream), &sidecar->id, &sidecar->source, stream->is_draining);
	return ERR_NONE;
}

static void claimed(struct identity_stream *stream)
{
	struct why why = {0};
	char text[512];
	serve_count(stream->serve, CONTROL_CLAIMS_HELD);
	stream->holds_address = true;
	enum err err = show_hello(stream, &why);
	if (err == ERR_NONE)
		send_granted(stream);
	else
		identity_stream_end(stream, serve_status(err), why_format(&why, text, sizeof text), 0);
}

static void release(struct identity_stream *stream)
{
	const struct sidecar *sidecar = stream->sidecar;
	stream->must_release = false;
	claims_stream_gone(stream);
	stream->was_refused = false;
	(void)registry_release(registry_of(stream), &sidecar->id, &sidecar->source, NULL, NULL);
}

static void on_claimed(void *arg, enum err err, const struct why *why)
{
	struct identity_stream *stream = arg;
	CHECK(stream->claiming != NULL && !stream->holds_address);
	stream->claiming = NULL;
	if (stream->must_release) {
		stream->holds_address = err == ERR_NONE;
		release(stream);
	} else if (err == ERR_NONE) {
		claimed(stream);
	} else {
		serve_count(stream->serve, CONTROL_CLAIMS_REFUSED);
		stream->was_refused = true;
		send_refused(stream, why, err == ERR_DENIED ? REFUSED_RETRY_MS : FAILED_RETRY_MS);
	}
}

static void start_claim(struct identity_stream *stream)
{
	CHECK(stream->claiming == NULL && !stream->holds_address);
	stream->was_refused = false;
	stream->claiming = registry_claim(registry_of(stream), &stream->sidecar->id, &stream->sidecar->source,
		stream->key_hash, on_claimed, stream);
}

/* --- proof of a claim: an SVID can leak, the attestation key never leaves its sidecar (finding L10) --- */

static enum err check_svid_holder(const struct identity_stream *stream, struct why *why)
{
	_cleanup_(svid_holder_done) struct svid_holder svid_holder = {0};
	enum err err = svid_holders_find(stream->serve->options.store, stream->key_hash, &svid_holder);
	if (err == ERR_NONE && spiffe_id_eq(&svid_holder.id, &stream->sidecar->id))
		return ERR_NONE;
	return why_set(why, ERR_DENIED, "an attestation key of this identity",
		"give the sidecar a new token: `handfast token create`", "%s",
		err == ERR_NONE ? "the attestation key belongs to another identity" : "the attestation key is unknown");
}

static enum err check_proof(struct identity_stream *stream, const struct identity_up *up, struct why *why)
{
	uint8_t exported[ATTEST_EXPORTED_LEN];
	if (up->attestation_key.len > ATTEST_KEY_MAX)
		return why_set(why, ERR_DENIED, "an attestation key", "update the sidecar",
			"the attestation key has %zu bytes", up->attestation_key.len);
	RETURN_IF_ERR(serve_exported(stream->sidecar->peer, SPAN_LITERAL(CLAIM_PROOF_CONTEXT), exported));
	if (public_key_verify(up->attestation_key, span_of(exported, sizeof exported), up->proof, why) != ERR_NONE)
		return why_set(why, ERR_DENIED, "a proof by the attestation key on this connection",
			"find out which program uses this SVID: this looks like an attack",
			"the signature does not verify");
	digest_sha256(up->attestation_key, stream->key_hash);
	return check_svid_holder(stream, why);
}

/* A full disk can have kept the certificate of this connection from the record; the key that it proves now is the one
 * that obtained it. */
static void note_svid_holder(const struct identity_stream *stream)
{
	struct sidecar *sidecar = stream->sidecar;
	if (sidecar->has_svid_holder)
		return;
	sidecar->has_svid_holder = true;
	memcpy(sidecar->svid_holder, stream->key_hash, DIGEST_LEN);
}

/* A sidecar of release 0.1 sends no proof: its SVID must at least come from an attestation. */
static enum err check_without_proof(struct identity_stream *stream, struct why *why)
{
	_cleanup_(buf_done) struct buf key = BUF_INIT(1024);
	uint8_t leaf_hash[DIGEST_LEN];
	struct leaf_owner owner;
	if (rpc_peer_svid(stream->sidecar->peer) == NULL)
		return why_set(why, ERR_DENIED, "a proof by the attestation key", "update the sidecar",
			"the claim has no proof, on a connection without an SVID");
	RETURN_IF_ERR(svid_public_key(rpc_peer_svid(stream->sidecar->peer), &key));
	digest_sha256(buf_span(&key), leaf_hash);
	if (!leaf_owners_find(stream->serve->leaf_owners, leaf_hash, &owner))
		return why_set(why, ERR_DENIED, "an SVID from an attestation", "start the sidecar again",
			"the SVID is of unknown origin");
	if (owner.proves_claims)
		return why_set(why, ERR_DENIED, "a proof by the attestation key",
			"find out which program uses this SVID: this looks like an attack", "the claim has no proof");
	memcpy(stream->key_hash, owner.key_hash, DIGEST_LEN);
	return check_svid_holder(stream, why);
}

enum err claims_claim(struct identity_stream *stream, const struct identity_up *up, struct why *why)
{
	if (stream->holds_address || stream->claiming != NULL)
		return ERR_NONE;
	RETURN_IF_ERR(may_change(stream, why));
	enum err err = up->proof.len > 0 ? check_proof(stream, up, why) : check_without_proof(stream, why);
	if (err == ERR_NONE) {
		note_svid_holder(stream);
		start_claim(stream);
		return ERR_NONE;
	}
	serve_count(stream->serve, CONTROL_CLAIMS_REFUSED);
	stream->was_refused = false; /* a release of the address would not help */
	send_refused(stream, why, REFUSED_RETRY_MS);
	return ERR_NONE;
}

enum err claims_release(struct identity_stream *stream, struct why *why)
{
	RETURN_IF_ERR(may_change(stream, why));
	if (stream->claiming != NULL)
		stream->must_release = true; /* once it is stored: until then there is nothing to release */
	else
		release(stream);
	return ERR_NONE;
}

enum err claims_set_hello(struct identity_stream *stream, uint32_t zone, bool is_draining, struct why *why)
{
	const struct sidecar *sidecar = stream->sidecar;
	char address[ADDR_TEXT_MAX];
	if (is_draining && !stream->is_draining &&
		limited_log_allows_identity(stream->serve->lines, sidecar->id.text, "draining"))
		log_notice("audit", "draining: %s at %s", sidecar->id.text, ip_addr_format(&sidecar->source, address));
	stream->zone = zone;
	stream->is_draining = is_draining;
	return show_hello(stream, why);
}

void claims_stream_gone(struct identity_stream *stream)
{
	if (stream->claiming != NULL)
		registry_abandon(TAKE_PTR(stream->claiming));
	if (stream->holds_address)
		registry_stream_closed(registry_of(stream), &stream->sidecar->id, &stream->sidecar->source);
	stream->holds_address = false;
}

/* --- an address became free: a waiting stream claims it, and its former owner is notified --- */

static void lost(struct identity_stream *stream)
{
	struct why why = {0};
	stream->holds_address = false;
	stream->was_refused = true;
	(void)why_set(&why, ERR_DENIED, "an address that is still claimed",
		"wait 30 s: the sidecar claims it again then, unless another identity has claimed it",
		"the claim was released by an operator");
	send_refused(stream, &why, REFUSED_RETRY_MS);
}

static bool has_lost(const struct identity_stream *stream)
{
	return stream->holds_address &&
	       !registry_holds(registry_of(stream), &stream->sidecar->id, &stream->sidecar->source);
}

static void on_review(struct loop_task *task)
{
	struct serve *serve = container_of(task, struct serve, review);
	LIST_EACH_REMOVABLE(&serve->identity_streams, struct identity_stream, stream, link) {
		if (!stream->must_review)
			continue;
		stream->must_review = false;
		if (has_lost(stream))
			lost(stream);
		else if (stream->was_refused && stream->claiming == NULL)
			start_claim(stream);
	}
}

void serve_address_freed(struct serve *serve, const struct ip_addr *ip)
{
	LIST_EACH(&serve->identity_streams, struct identity_stream, stream, link) {
		bool is_meant = ip == NULL || ip_addr_eq(&stream->sidecar->source, ip);
		if (!is_meant || (!stream->was_refused && !stream->holds_address))
			continue;
		stream->must_review = true;
		loop_task_post(serve->options.loop, &serve->review, on_review);
	}
}
