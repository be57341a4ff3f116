#include "sidecar/identity/trust_parse.h"

#include "base/core/log.h"
#include "base/pb/unpack.h"
#include "proto/handfast/v1/types.pb-c.h"

static enum err refuse(struct trust *trust, const char *expected, const char *got, size_t num)
{
	return why_set(&trust->detail, ERR_MALFORMED, expected,
		"inspect the control plane's log; the previous trust state stays in use", "%s (%zu)", got, num);
}

static enum err read_epoch(const Handfast__V1__TrustState *message, struct trust *trust)
{
	if (message->epoch != NULL)
		trust->epoch =
			(struct epoch){.incarnation = message->epoch->incarnation, .counter = message->epoch->counter};
	if (trust->epoch.incarnation == 0 || trust->epoch.counter == 0)
		return refuse(trust, "an epoch", "the trust state has no epoch", 0);
	return ERR_NONE;
}

static enum err read_crls(const Handfast__V1__Bundle *message, const struct trust_domain *domain,
	struct bundle_set *set, struct trust *trust)
{
	if (message->n_crls > BUNDLE_CRLS_MAX)
		return refuse(trust, "at most 64 revocation lists per trust domain",
			"the trust state has too many revocation lists", message->n_crls);
	for (size_t i = 0; i < message->n_crls; i++) {
		struct why why = {0}; /* a list that is not usable is left out alone */
		if (bundle_set_add_crl(set, domain, pb_span(message->crls[i]), &why) != ERR_NONE)
			bundle_set_skip_crl(set, &why);
	}
	return ERR_NONE;
}

static enum err read_jwt_keys(const Handfast__V1__Bundle *message, const struct trust_domain *domain,
	struct bundle_set *set, struct trust *trust)
{
	if (message->n_jwt_keys > BUNDLE_JWT_KEYS_MAX)
		return refuse(trust, "at most 64 JWT keys per trust domain", "the trust state has too many JWT keys",
			message->n_jwt_keys);
	if (message->n_jwt_kids != 0 && message->n_jwt_kids != message->n_jwt_keys)
		return refuse(trust, "a kid of each JWT key, or of none", "the trust state has another number of them",
			message->n_jwt_kids);
	for (size_t i = 0; i < message->n_jwt_keys; i++) {
		struct span kid = message->n_jwt_kids == 0 ? (struct span){0} : pb_span(message->jwt_kids[i]);
		RETURN_IF_ERR(bundle_set_add_jwt_key(set, domain, kid, pb_span(message->jwt_keys[i]), &trust->detail));
	}
	return ERR_NONE;
}

static enum err read_bundle(const Handfast__V1__Bundle *message, struct bundle_set *set, struct trust *trust)
{
	struct trust_domain domain;
	struct span roots[2 * TRUST_ROOTS_MAX];
	size_t num = 0;
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	RETURN_IF_ERR(trust_domain_parse(pb_span(message->trust_domain), &domain, &trust->detail));
	if (message->n_roots > TRUST_ROOTS_MAX)
		return refuse(trust, "at most 16 roots per trust domain", "the trust state has too many roots",
			message->n_roots);
	if (message->n_retired_roots > TRUST_ROOTS_MAX)
		return refuse(trust, "at most 16 retired roots per trust domain",
			"the trust state has too many retired roots", message->n_retired_roots);
	for (size_t i = 0; i < message->n_roots; i++)
		roots[num++] = pb_span(message->roots[i]);
	for (size_t i = 0; i < message->n_retired_roots; i++)
		roots[num++] = pb_span(message->retired_roots[i]);
	RETURN_IF_ERR(bundle_new_with_retired(&domain, roots, num, message->n_retired_roots, &bundle, &trust->detail));
	RETURN_IF_ERR(bundle_set_add(set, bundle, &trust->detail));
	enum err err = read_jwt_keys(message, &domain, set, trust);
	if (err == ERR_NONE)
		err = read_crls(message, &domain, set, trust);
	if (err != ERR_NONE)
		bundle_set_remove(set, span_of_str(domain.name));
	return err;
}

/* One of a partner that cannot be used is left out, so that it concerns that partner alone: nothing of it is trusted.
 */
static enum err read_bundles(const Handfast__V1__TrustState *message, const struct trust_domain *own,
	struct bundle_set *set, struct trust *trust)
{
	for (size_t i = 0; i < message->n_bundles; i++) {
		const Handfast__V1__Bundle *bundle = message->bundles[i];
		enum err err = read_bundle(bundle, set, trust);
		if (err == ERR_NONE)
			continue;
		if (span_eq(pb_span(bundle->trust_domain), span_of_str(own->name)))
			return err;
		log_why(LOG_LEVEL_ERROR, "identity", "the bundle of a partner's trust domain is not in use",
			&trust->detail);
		trust->detail = (struct why){0};
	}
	return ERR_NONE;
}

/* C14: a trust state that would invalidate this workload's own identity, and with it every tunnel, is refused. */
static enum err check_own(const struct bundle_set *set, const struct trust_domain *own, struct trust *trust)
{
	const struct bundle *bundle = bundle_set_find(set, span_of_str(own->name));
	if (bundle == NULL || bundle_num_roots(bundle) == 0)
		return refuse(trust, "a root of this sidecar's trust domain",
			"the trust state has no root of this trust domain", 0);
	return ERR_NONE;
}

static enum err read_bans(const Handfast__V1__TrustState *message, struct bundle_set *set, struct trust *trust)
{
	if (message->n_banned_ids > TRUST_BANNED_MAX)
		return refuse(trust, "at most 65,536 banned identities",
			"the trust state has too many banned identities", message->n_banned_ids);
	for (size_t i = 0; i < message->n_banned_ids; i++) {
		_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
		RETURN_IF_ERR(spiffe_id_parse(pb_span(message->banned_ids[i]), &id, &trust->detail));
		bundle_set_ban_id(set, &id);
	}
	return ERR_NONE;
}

static enum err read_revoked(const Handfast__V1__TrustState *message, struct bundle_set *set, struct trust *trust)
{
	if (message->n_revoked_serials > TRUST_REVOKED_MAX)
		return refuse(trust, "at most 65,536 revoked serials", "the trust state has too many revoked serials",
			message->n_revoked_serials);
	for (size_t i = 0; i < message->n_revoked_serials; i++)
		if (bundle_set_revoke(set, pb_span(message->revoked_serials[i])) != ERR_NONE)
			return refuse(trust, "serials of 1 to 20 bytes",
				"a revoked serial of the trust state has another length",
				message->revoked_serials[i].len);
	return ERR_NONE;
}

static enum err read_pins(const Handfast__V1__TrustState *message, struct trust *trust)
{
	if (message->n_bootstrap_root_sha256 > STATE_PINS_MAX)
		return refuse(trust, "at most 8 bootstrap roots", "the trust state has too many bootstrap roots",
			message->n_bootstrap_root_sha256);
	for (size_t i = 0; i < message->n_bootstrap_root_sha256; i++) {
		struct span pin = pb_span(message->bootstrap_root_sha256[i]);
		if (pin.len != DIGEST_LEN)
			return refuse(trust, "the SHA-256 of a bootstrap root",
				"the pin of a bootstrap root has another length", pin.len);
		memcpy(trust->pins[trust->num_pins++], pin.ptr, DIGEST_LEN);
	}
	return ERR_NONE;
}

enum err trust_parse(const struct Handfast__V1__TrustState *message, const struct trust_domain *own, struct trust *out)
{
	_cleanup_(bundle_set_unrefp) struct bundle_set *set = bundle_set_new();
	*out = (struct trust){0};
	if (message == NULL)
		return refuse(out, "a trust state", "the message has no trust state", 0);
	RETURN_IF_ERR(read_epoch(message, out));
	if (message->n_bundles > TRUST_BUNDLES_MAX)
		return refuse(out, "at most 64 trust domains", "the trust state has too many trust domains",
			message->n_bundles);
	RETURN_IF_ERR(read_bundles(message, own, set, out));
	RETURN_IF_ERR(check_own(set, own, out));
	RETURN_IF_ERR(read_bans(message, set, out));
	RETURN_IF_ERR(read_revoked(message, set, out));
	RETURN_IF_ERR(read_pins(message, out));
	out->encoded = BUF_INIT(TRUST_ENCODED_MAX);
	if (pb_pack(&message->base, &out->encoded) != ERR_NONE)
		buf_done(&out->encoded);
	out->bundles = TAKE_PTR(set);
	return ERR_NONE;
}

void trust_done(struct trust *trust)
{
	bundle_set_unref(trust->bundles);
	buf_done(&trust->encoded);
	*trust = (struct trust){0};
}
