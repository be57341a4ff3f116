/* The authenticated connections: the identity of each, and how many one identity may have. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "certs/verify.h"
#include "control/serve/serve_private.h"

struct sidecar *sidecar_ref(struct sidecar *sidecar)
{
	CHECK(sidecar != NULL && sidecar->refs > 0);
	sidecar->refs++;
	return sidecar;
}

void sidecar_unref(struct sidecar *sidecar)
{
	CHECK(sidecar->refs > 0);
	if (--sidecar->refs != 0)
		return;
	CHECK(sidecar->peer == NULL && !list_is_linked(&sidecar->link) && sidecar->share.shares == NULL);
	jwt_service_forget(sidecar);
	spiffe_id_done(&sidecar->id);
	mem_free(sidecar);
}

/* At the limit of an identity its oldest connection is closed: a sidecar that dials again is not refused because of
 * connections that it abandoned. */
static void take_share(struct serve *serve, struct sidecar *sidecar)
{
	struct share_key key = share_key_of_bytes(spiffe_id_text(&sidecar->id));
	if (shares_take(serve->connections, 0, &key, 1, 1, &sidecar->share) == SHARE_LIMIT_NONE)
		return;
	struct share *oldest = shares_eviction_candidate(serve->connections, 0, &key, 1, 1);
	if (oldest != NULL) {
		struct sidecar *old = container_of(oldest, struct sidecar, share);
		CHECK(old->peer != NULL); /* it gives its share back when it loses its peer */
		limits_on_identity(serve, rpc_peer_addr(old->peer));
		shares_give(oldest);
		rpc_peer_close(old->peer);
	}
	enum share_limit limit = shares_take(serve->connections, 0, &key, 1, 1, &sidecar->share);
	if (limit == SHARE_LIMIT_NONE)
		return;
	/* It is served nevertheless, and the server's own limit applies to it. */
	if (limited_log_allows_identity(serve->lines, sidecar->id.text, share_limit_label(limit)))
		log_notice("serve", "a connection of %s is not counted: %s is reached", sidecar->id.text,
			share_limit_text(limit));
}

static void find_svid_holder(const struct serve *serve, const struct svid *svid, struct sidecar *sidecar)
{
	_cleanup_(buf_done) struct buf key = BUF_INIT(1024);
	uint8_t leaf_hash[DIGEST_LEN];
	struct leaf_owner owner;
	if (svid_public_key(svid, &key) != ERR_NONE)
		return;
	digest_sha256(buf_span(&key), leaf_hash);
	sidecar->has_svid_holder = leaf_owners_find(serve->leaf_owners, leaf_hash, &owner);
	if (sidecar->has_svid_holder)
		memcpy(sidecar->svid_holder, owner.key_hash, DIGEST_LEN);
}

/* There are few intermediates: the last one that was seen is mostly this one. */
static const struct sidecar_serial *intermediate_serial(struct serve *serve, struct span der)
{
	struct sidecar_serial *serial = &serve->last_intermediate.serial;
	struct buf *last = &serve->last_intermediate.der;
	if (span_eq(buf_span(last), der))
		return serial;
	buf_clear(last);
	if (certificate_serial(der, serial->bytes, &serial->len) != ERR_NONE || buf_append(last, der) != ERR_NONE)
		serial->len = 0;
	return serial;
}

static void note_chain(struct serve *serve, struct sidecar *sidecar, struct span leaf_serial,
	struct span intermediate_der, struct span topmost_der)
{
	sidecar->leaf.len = leaf_serial.len <= sizeof sidecar->leaf.bytes ? leaf_serial.len : 0;
	if (sidecar->leaf.len > 0)
		memcpy(sidecar->leaf.bytes, leaf_serial.ptr, sidecar->leaf.len);
	sidecar->intermediate = *intermediate_serial(serve, intermediate_der);
	if (!rotation_find_root(serve->options.rotation, topmost_der, sidecar->root_tag))
		memset(sidecar->root_tag, 0, ROTATION_TAG_LEN);
}

static void count_key_exchange(struct serve *serve, const struct tls_session *tls)
{
	if (tls == NULL) /* a Unix socket */
		return;
	enum key_exchange which = tls_session_key_exchange(tls);
	CHECK(which < NUM_KEY_EXCHANGES); /* the rows are in the order of the groups */
	metric_add(serve->options.metrics, CONTROL_KEY_EXCHANGE_X25519MLKEM768 + (unsigned)which, 1);
}

static struct sidecar *sidecar_new(struct serve *serve, struct rpc_peer *peer, const struct spiffe_id *id)
{
	CHECK(rpc_peer_arg(peer) == NULL);
	struct sidecar *sidecar = mem_new(struct sidecar);
	sidecar->peer = peer;
	sidecar->source = rpc_peer_addr(peer)->ip;
	sidecar->refs = 1;
	spiffe_id_copy(id, &sidecar->id);
	list_push_front(&serve->sidecars, &sidecar->link);
	rpc_peer_set_arg(peer, sidecar);
	take_share(serve, sidecar);
	return sidecar;
}

void connections_on_connect(void *arg, struct rpc_peer *peer)
{
	struct serve *serve = arg;
	const struct svid *svid = rpc_peer_svid(peer);
	count_key_exchange(serve, rpc_peer_tls(peer));
	waiting_room_poll(serve->waiting);
	if (svid == NULL)
		return;
	struct sidecar *sidecar = sidecar_new(serve, peer, svid_id(svid));
	sidecar->valid_until_s = svid_not_after_s(svid);
	sidecar->is_guest = guests_has(serve, svid);
	find_svid_holder(serve, svid, sidecar);
	size_t num = svid_num_chain(svid);
	note_chain(serve, sidecar, svid_serial(svid), num < 2 ? (struct span){0} : svid_cert(svid, 1),
		num < 2 ? (struct span){0} : svid_cert(svid, num - 1));
}

void connections_note_granted(struct serve *serve, struct sidecar *sidecar, const struct granted *granted)
{
	const struct svid_holder *svid_holder = granted->svid_holder;
	CHECK(granted->num_chain >= 2); /* keep_chain() found its root */
	sidecar->valid_until_s = svid_holder->not_after_s;
	sidecar->has_svid_holder = true;
	memcpy(sidecar->svid_holder, svid_holder->key_hash, DIGEST_LEN);
	note_chain(serve, sidecar, span_of(svid_holder->serial, svid_holder->serial_len), granted->chain[1],
		granted->chain[granted->num_chain - 1]);
}

/* Decision 079. A connection has one identity, the first. */
bool connections_on_attested(struct serve *serve, struct rpc_peer *peer, const struct granted *granted)
{
	if (rpc_peer_arg(peer) != NULL)
		return false;
	connections_note_granted(serve, sidecar_new(serve, peer, &granted->svid_holder->id), granted);
	rpc_peer_identified(peer);
	return true;
}

void connections_on_disconnect(void *arg, struct rpc_peer *peer)
{
	struct sidecar *sidecar = rpc_peer_arg(peer);
	(void)arg;
	if (sidecar == NULL)
		return;
	CHECK(sidecar->peer == peer);
	list_remove(&sidecar->link);
	sidecar->peer = NULL;
	shares_give(&sidecar->share);
	rpc_peer_set_arg(peer, NULL);
	sidecar_unref(sidecar);
}

/* --- the certificate of a client --- */

/* A partner's identities are trusted by workloads, whose rules judge them, and not here (W27). */
static enum err verify_own(
	const struct serve *serve, const struct verify_input *input, struct svid **out_svid, struct why *why)
{
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	RETURN_IF_ERR(verify_chain(input, &svid, why));
	if (!spiffe_id_in_trust_domain(svid_id(svid), trust_domain_of(serve->options.trust)))
		return why_set(why, ERR_WRONG_PEER, "a sidecar of this mesh",
			"use the control plane of its own trust domain", "the client is %.100s, of a partner",
			svid_id(svid)->text);
	*out_svid = TAKE_PTR(svid);
	return ERR_NONE;
}

enum err connections_verify(
	void *arg, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why)
{
	struct serve *serve = arg;
	char text[700];
	struct verify_input input = {.chain = chain,
		.num_chain = num_chain,
		.bundles = trust_bundles(serve->options.trust),
		.role = VERIFY_CLIENT,
		.now_s = serve_judging_s(serve)};
	enum err err = verify_own(serve, &input, out_svid, why);
	if (err != ERR_NONE && guests_verify(serve, &input, out_svid) == ERR_NONE)
		return ERR_NONE;
	if (err != ERR_NONE) {
		serve_count(serve, CONTROL_HANDSHAKES_FAILED);
		if (limited_log_allows_identity(serve->lines, "client certificates", err_label(err)))
			log_warning("audit", "client certificate refused: %s: %s", err_label(err),
				why_format(why, text, sizeof text));
	}
	return err;
}

unsigned serve_num_streams(const struct serve *serve)
{
	return serve->num_streams;
}

unsigned serve_num_connections(const struct serve *serve)
{
	return rpc_server_num_peers(serve->streams);
}
