/* The authenticated connections: the identity of each, and how many one identity may have. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
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

void connections_on_connect(void *arg, struct rpc_peer *peer)
{
	struct serve *serve = arg;
	const struct svid *svid = rpc_peer_svid(peer);
	if (svid == NULL)
		return;
	struct sidecar *sidecar = mem_new(struct sidecar);
	sidecar->peer = peer;
	sidecar->source = rpc_peer_addr(peer)->ip;
	sidecar->valid_until_s = svid_not_after_s(svid);
	find_svid_holder(serve, svid, sidecar);
	sidecar->refs = 1;
	spiffe_id_copy(svid_id(svid), &sidecar->id);
	list_push_front(&serve->sidecars, &sidecar->link);
	rpc_peer_set_arg(peer, sidecar);
	take_share(serve, sidecar);
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
