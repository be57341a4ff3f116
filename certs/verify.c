#include "certs/verify.h"
#include "base/core/check.h"
#include "certs/anchors.h"
#include "certs/boringssl.h"
#include "certs/path.h"
#include <stdio.h>

static int shown(struct span text)
{
	return (int)(text.len > 100 ? 100 : text.len);
}

static enum err explain_no_bundle(const struct spiffe_id *id, struct why *why)
{
	struct span domain = spiffe_id_trust_domain(id);
	return why_set(why, ERR_NO_BUNDLE, "a peer of a trust domain with a trust bundle",
		"federate the two trust domains, or correct the peer's",
		"there is no trust bundle for the peer's trust domain %.*s", shown(domain), (const char *)domain.ptr);
}

static enum err find_path(
	const struct bundle_set *bundles, struct path_input *path, int64_t *out_until_s, struct why *why)
{
	struct span domain = spiffe_id_trust_domain(svid_id(path->svid));
	const struct bundle *bundle = bundle_set_find(bundles, domain);
	if (bundle == NULL)
		return explain_no_bundle(svid_id(path->svid), why);
	X509 *roots[BUNDLE_ROOTS_MAX];
	path->num_roots = path->is_revalidation ? bundle_num_all(bundle) : bundle_num_roots(bundle);
	CHECK(path->num_roots <= BUNDLE_ROOTS_MAX);
	for (size_t i = 0; i < path->num_roots; i++)
		roots[i] = bundle_get0_root(bundle, i);
	path->roots = roots;
	path->crls = bundle_set_get0_crls(bundles, domain);
	path->revoker = bundles;
	enum err err = path_verify(path, out_until_s, why);
	path->roots = NULL;
	return err;
}

static enum err check_expected(const struct spiffe_id *expected, const struct spiffe_id *id, struct why *why)
{
	struct span want = spiffe_id_text(expected), got = spiffe_id_text(id);
	char sentence[sizeof(((struct why *)0)->expected)];
	if (span_eq(want, got))
		return ERR_NONE;
	snprintf(sentence, sizeof(sentence), "%.*s", (int)want.len, (const char *)want.ptr);
	return why_set(why, ERR_WRONG_PEER, sentence,
		"find out which workload listens at that address, and what the control plane answers for it",
		"the peer is %.*s", shown(got), (const char *)got.ptr);
}

enum err verify_identity(const struct verify_input *input, const struct spiffe_id *id, struct why *why)
{
	CHECK(spiffe_id_is_set(id) && input->bundles != NULL);
	struct span text = spiffe_id_text(id);
	if (bundle_set_is_banned(input->bundles, id))
		return why_set(why, ERR_REVOKED, "an identity that is not banned",
			"to allow it again, lift the ban: `handfast unban`", "the peer %.*s is banned", shown(text),
			(const char *)text.ptr);
	if (!input->may_be_reserved && spiffe_id_is_reserved(id))
		return why_set(why, ERR_WRONG_PEER, "a workload's identity",
			"give the workload an identity outside /handfast",
			"the peer is %.*s, which is reserved for the control plane", shown(text),
			(const char *)text.ptr);
	if (input->expected == NULL)
		return ERR_NONE;
	return check_expected(input->expected, id, why);
}

enum err verify_chain_until(
	const struct verify_input *input, struct svid **out_svid, int64_t *out_until_s, struct why *why)
{
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	int64_t until_s = 0;
	RETURN_IF_ERR(svid_parse(input->chain, input->num_chain, &svid, why));
	struct path_input path = {.svid = svid, .now_s = input->now_s};
	RETURN_IF_ERR(find_path(input->bundles, &path, &until_s, why));
	RETURN_IF_ERR(verify_identity(input, svid_id(svid), why));
	*out_svid = TAKE_PTR(svid);
	*out_until_s = until_s;
	return ERR_NONE;
}

enum err verify_still_trusted(const struct svid *svid, const struct bundle_set *bundles, struct why *why)
{
	const struct verify_input names = {.bundles = bundles, .may_be_reserved = true};
	struct path_input path = {.svid = svid, .is_revalidation = true};
	int64_t until_s;
	RETURN_IF_ERR(verify_identity(&names, svid_id(svid), why));
	return find_path(bundles, &path, &until_s, why);
}

enum err verify_chain(const struct verify_input *input, struct svid **out_svid, struct why *why)
{
	int64_t until_s;
	return verify_chain_until(input, out_svid, &until_s, why);
}
