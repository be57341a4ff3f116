#include "sidecar/tunnel/admission.h"

static struct verify_input input_for(const struct tunnel *tunnel, const struct span *chain, size_t num_chain)
{
	const struct tunnel_set *set = tunnel->set;
	return (struct verify_input){
		.chain = chain,
		.num_chain = num_chain,
		.bundles = credentials_bundles(set->credentials),
		.role = set->outbound ? VERIFY_SERVER : VERIFY_CLIENT,
		.now_s = tunnel_set_now_s(set),
		.expected = set->outbound ? &tunnel->expected : NULL,
	};
}

static enum err no_identity(struct why *why)
{
	return why_set(why, ERR_UNAVAILABLE, "a valid identity of this sidecar",
		"check that the control plane is reachable: `handfast check`", "this sidecar has no valid identity");
}

enum err admission_verify(
	struct tunnel *tunnel, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why)
{
	struct tunnel_set *set = tunnel->set;
	if (set->credentials == NULL)
		return no_identity(why);
	struct verify_input input = input_for(tunnel, chain, num_chain);
	uint64_t generation = credentials_generation(set->credentials);
	RETURN_IF_ERR(verify_chain_cached(set->verify_cache, generation, &input, out_svid, why));
	tunnel->verified_generation = generation;
	return ERR_NONE;
}

static enum err verify_again(struct tunnel *tunnel, const struct svid *svid, bool is_peer, struct why *why)
{
	struct span chain[SVID_CHAIN_MAX];
	size_t num_chain = svid_num_chain(svid);
	for (size_t i = 0; i < num_chain; i++)
		chain[i] = svid_cert(svid, i);
	struct verify_input input = input_for(tunnel, chain, num_chain);
	if (!is_peer) {
		input.role = tunnel->set->outbound ? VERIFY_CLIENT : VERIFY_SERVER;
		input.expected = NULL;
	}
	struct svid *verified = NULL;
	RETURN_IF_ERR(verify_chain_cached(
		tunnel->set->verify_cache, credentials_generation(tunnel->set->credentials), &input, &verified, why));
	svid_unref(verified);
	return ERR_NONE;
}

static enum err expired(const char *whose, struct why *why)
{
	return why_set(why, ERR_EXPIRED, "valid certificates on both ends of the tunnel",
		"find out why the certificate was not renewed: `handfast certs`", "%s certificate has expired", whose);
}

enum err admission_check(struct tunnel *tunnel, struct why *why)
{
	struct credentials *now = tunnel->set->credentials;
	int64_t now_s = tunnel_set_now_s(tunnel->set);
	if (now == NULL || !credentials_are_valid(now, now_s))
		return no_identity(why);
	const struct svid *own = credentials_svid(tunnel->credentials), *peer = tunnel_peer(tunnel);
	if (now_s >= svid_not_after_s(own))
		return expired("our own", why);
	if (now_s >= svid_not_after_s(peer))
		return expired("the peer's", why);
	if (tunnel->verified_generation == credentials_generation(now))
		return ERR_NONE;
	RETURN_IF_ERR(verify_again(tunnel, peer, true, why));
	RETURN_IF_ERR(verify_again(tunnel, own, false, why));
	tunnel->verified_generation = credentials_generation(now);
	return ERR_NONE;
}

static enum err judge(const struct tunnel *tunnel, bool has_new_anchors, struct why *why)
{
	const struct bundle_set *bundles = credentials_bundles(tunnel->set->credentials);
	const struct svid *peer = tunnel_peer(tunnel);
	const struct verify_input names = {.bundles = bundles, .may_be_reserved = true};
	if (peer == NULL) /* the end of its handshake judges it by the new credentials */
		return ERR_NONE;
	return has_new_anchors ? verify_still_trusted(peer, bundles, why) : verify_identity(&names, svid_id(peer), why);
}

void tunnel_judge(struct tunnel *tunnel, bool has_new_anchors)
{
	struct why why = {0};
	if (tunnel->state == TUNNEL_CLOSED || judge(tunnel, has_new_anchors, &why) == ERR_NONE)
		return;
	tunnel->is_withdrawn = true;
	tunnel_lost(tunnel, &why);
}
