#include "base/core/check.h"
#include "base/core/hex.h"
#include "certs/boringssl.h"
#include "certs/cert.h"
#include "certs/path.h"
#include "certs/verify.h"

static bool is_pinned(const struct verify_bootstrap_input *input, const uint8_t hash[32])
{
	for (size_t i = 0; i < input->num_pins; i++)
		if (memcmp(input->pins[i], hash, 32) == 0)
			return true;
	return false;
}

static enum err explain_not_pinned(struct span last, struct why *why)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	char hex[2 * SHA256_DIGEST_LENGTH + 1];
	SHA256(last.ptr, last.len, hash);
	hex_format(span_of(hash, sizeof(hash)), hex);
	return why_set(why, ERR_UNTRUSTED, "a chain with the bootstrap root whose hash is in the token or the settings",
		"if the control plane was reinstalled, or its former root retired, write a new token (`handfast token "
		"create`) into the token file; else compare control.bootstrap_root_sha256",
		"the last certificate of the chain has SHA-256 %s", hex);
}

/* With the certificate at `at` of the chain as the only anchor. */
static enum err verify_below(
	const struct verify_bootstrap_input *input, const struct svid *svid, size_t at, struct why *why)
{
	_cleanup_(X509_freep) X509 *root = cert_parse_again(svid_get0_buffer(svid, at));
	int64_t until_s;
	const struct path_input path = {
		.svid = svid, .roots = &root, .num_roots = 1, .now_s = input->now_s, .ignore_not_before = true};
	return path_verify(&path, &until_s, why);
}

/* While the bootstrap root is being replaced, both are in the chain, and both may be pinned: one of them suffices. */
static enum err verify_pinned(const struct verify_bootstrap_input *input, const struct svid *svid, struct why *why)
{
	enum err err = ERR_NOT_FOUND;
	for (size_t i = 1; i < svid_num_chain(svid); i++) {
		uint8_t hash[SHA256_DIGEST_LENGTH];
		struct span der = svid_cert(svid, i);
		SHA256(der.ptr, der.len, hash);
		if (!is_pinned(input, hash))
			continue;
		err = verify_below(input, svid, i, why);
		if (err == ERR_NONE)
			return ERR_NONE;
	}
	return err == ERR_NOT_FOUND ? explain_not_pinned(svid_cert(svid, svid_num_chain(svid) - 1), why) : err;
}

static enum err check_name(const struct verify_bootstrap_input *input, const struct svid *svid, struct why *why)
{
	struct span got = spiffe_id_text(svid_id(svid));
	if (spiffe_id_eq(input->expected, svid_id(svid)))
		return ERR_NONE;
	return why_set(why, ERR_WRONG_PEER, "the control plane's own identity",
		"check control.address and the trust domain in the settings", "the server is %.*s",
		(int)(got.len > 160 ? 160 : got.len), (const char *)got.ptr);
}

enum err verify_bootstrap_chain(const struct verify_bootstrap_input *input, struct why *why)
{
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	RETURN_IF_ERR(svid_parse(input->chain, input->num_chain, &svid, why));
	RETURN_IF_ERR(verify_pinned(input, svid, why));
	return check_name(input, svid, why);
}
