#include "control/serve/serve_private.h"

#include "base/core/log.h"

static const struct bundle_set *bundles_of(const struct serve *serve)
{
	return serve->options.other_roots == NULL ? NULL : other_roots_bundles(serve->options.other_roots);
}

/* A leaf or an authority. */
static bool is_revoked(const struct bundle_set *bundles, const struct svid *svid)
{
	struct sidecar_serial serial;
	for (size_t i = 0; i < svid_num_chain(svid); i++)
		if (certificate_serial(svid_cert(svid, i), serial.bytes, &serial.len) != ERR_NONE ||
			bundle_set_is_revoked(bundles, span_of(serial.bytes, serial.len)))
			return true;
	return false;
}

/* After the mesh's own roots have refused the chain. Bans and revoked serials of the mesh hold for guests too. */
enum err guests_verify(struct serve *serve, const struct verify_input *input, struct svid **out_svid)
{
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	struct verify_input guest = *input;
	guest.bundles = bundles_of(serve);
	if (guest.bundles == NULL)
		return ERR_UNTRUSTED;
	RETURN_IF_ERR(verify_chain(&guest, &svid, NULL));
	if (bundle_set_is_banned(input->bundles, svid_id(svid)) || is_revoked(input->bundles, svid))
		return ERR_REVOKED;
	*out_svid = TAKE_PTR(svid);
	return ERR_NONE;
}

bool guests_has(const struct serve *serve, const struct svid *svid)
{
	return bundles_of(serve) != NULL &&
	       verify_still_trusted(svid, trust_bundles(serve->options.trust), NULL) != ERR_NONE;
}

enum rpc_status guests_authorize(const struct serve *serve, const struct sidecar *sidecar, const char **out_message)
{
	if (!sidecar->is_guest)
		return RPC_OK;
	serve_count(serve, CONTROL_UNAUTHORIZED);
	*out_message = "the SVID is another authority's, which may use Discovery alone";
	return RPC_PERMISSION_DENIED;
}

void guests_poll(struct serve *serve)
{
	if (serve->options.other_roots == NULL || !other_roots_poll(serve->options.other_roots))
		return;
	LIST_EACH_REMOVABLE(&serve->sidecars, struct sidecar, sidecar, link) {
		if (!sidecar->is_guest ||
			verify_still_trusted(rpc_peer_svid(sidecar->peer), bundles_of(serve), NULL) == ERR_NONE)
			continue;
		log_notice("audit", "connection ended: the root of %s is no longer in the file of the other authority",
			sidecar->id.text);
		rpc_peer_close(sidecar->peer);
	}
}
