#include "base/core/check.h"
#include "certs/verify.h"
#include "test/fuzz/fuzz.h"

#define CHAIN_MAX 6

/* The input is a chain: each certificate after two bytes of length. */
static size_t split(struct span in, struct span chain[CHAIN_MAX])
{
	size_t num = 0;
	while (num < CHAIN_MAX && in.len >= 2) {
		size_t len = (size_t)in.ptr[0] << 8 | in.ptr[1];
		in = span_from(in, 2);
		if (len > in.len)
			len = in.len;
		chain[num++] = span_of(in.ptr, len);
		in = span_from(in, len);
	}
	return num;
}

/* The last certificate is the only root of the leaf's trust domain, so that path validation runs too. */
static void judge(const struct span *chain, size_t num_chain, const struct svid *svid)
{
	struct trust_domain domain;
	struct span name = spiffe_id_trust_domain(svid_id(svid));
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	_cleanup_(bundle_set_unrefp) struct bundle_set *bundles = bundle_set_new();
	_cleanup_(svid_unrefp) struct svid *verified = NULL;
	CHECK(trust_domain_parse(name, &domain, NULL) == ERR_NONE);
	if (bundle_new(&domain, &chain[num_chain - 1], 1, &bundle, NULL) != ERR_NONE)
		return;
	CHECK(bundle_set_add(bundles, bundle, NULL) == ERR_NONE);
	struct verify_input input = {
		.chain = chain, .num_chain = num_chain, .bundles = bundles, .now_s = svid_not_before_s(svid)};
	enum err err = verify_chain(&input, &verified, NULL);
	CHECK((err == ERR_NONE) == (verified != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct span chain[CHAIN_MAX];
	struct why why = {0};
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	_cleanup_(buf_done) struct buf spki = BUF_INIT(CHAIN_MAX * 65536);
	size_t num_chain = split(span_of(bytes, len), chain);
	enum err err = svid_parse(chain, num_chain, &svid, &why);
	CHECK(err == why.err && (err == ERR_NONE) == (svid != NULL));
	if (svid == NULL)
		return 0;
	CHECK(spiffe_id_path(svid_id(svid)).len > 1 && svid_num_chain(svid) <= SVID_CHAIN_MAX);
	CHECK(svid_public_key(svid, &spki) == ERR_NONE);
	judge(chain, num_chain, svid);
	return 0;
}
