#include "certs/credentials.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "certs/verify.h"
#include <stdatomic.h>

struct credentials {
	atomic_uint refs;
	struct svid *svid;
	struct private_key *key;
	struct bundle_set *bundles;
	struct epoch epoch;
	uint64_t generation;
	int64_t until_s;
};

/* The last generation: global, but only the uniqueness of its values matters. */
static atomic_uint_fast64_t last_generation;

static enum err check_key(const struct svid *svid, const struct private_key *key, struct why *why)
{
	_cleanup_(buf_done) struct buf of_leaf = BUF_INIT(1024);
	_cleanup_(buf_done) struct buf of_key = BUF_INIT(1024);
	RETURN_IF_ERR(svid_public_key(svid, &of_leaf));
	RETURN_IF_ERR(private_key_public(key, &of_key));
	if (span_eq(buf_span(&of_leaf), buf_span(&of_key)))
		return ERR_NONE;
	return why_set(why, ERR_KEY_MISMATCH, "a certificate for the requested key", "request a new certificate",
		"the certificate is for another key");
}

static enum err check_chain(
	struct svid *svid, const struct bundle_set *bundles, int64_t now_s, int64_t *out_until_s, struct why *why)
{
	struct span chain[SVID_CHAIN_MAX];
	for (size_t i = 0; i < svid_num_chain(svid); i++)
		chain[i] = svid_cert(svid, i);
	struct verify_input input = {
		.chain = chain,
		.num_chain = svid_num_chain(svid),
		.bundles = bundles,
		.role = VERIFY_CLIENT,
		.now_s = now_s,
	};
	_cleanup_(svid_unrefp) struct svid *verified = NULL;
	return verify_chain_until(&input, &verified, out_until_s, why);
}

enum err credentials_new(struct svid *svid, struct private_key *key, struct bundle_set *bundles, struct epoch epoch,
	int64_t now_s, struct credentials **out, struct why *why)
{
	int64_t until_s;
	RETURN_IF_ERR(check_key(svid, key, why));
	RETURN_IF_ERR(check_chain(svid, bundles, now_s, &until_s, why));
	struct credentials *credentials = mem_new(struct credentials);
	atomic_init(&credentials->refs, 1);
	credentials->svid = svid_ref(svid);
	credentials->key = private_key_ref(key);
	credentials->bundles = bundle_set_ref(bundles);
	credentials->epoch = epoch;
	credentials->until_s = until_s;
	credentials->generation = atomic_fetch_add(&last_generation, 1) + 1;
	*out = credentials;
	return ERR_NONE;
}

struct credentials *credentials_ref(struct credentials *credentials)
{
	unsigned before = atomic_fetch_add_explicit(&credentials->refs, 1, memory_order_relaxed);
	CHECK(before > 0 && before < UINT32_MAX);
	return credentials;
}

void credentials_unref(struct credentials *credentials)
{
	if (credentials == NULL)
		return;
	unsigned before = atomic_fetch_sub_explicit(&credentials->refs, 1, memory_order_acq_rel);
	CHECK(before > 0);
	if (before > 1)
		return;
	svid_unref(credentials->svid);
	private_key_unref(credentials->key);
	bundle_set_unref(credentials->bundles);
	mem_free(credentials);
}

struct svid *credentials_svid(const struct credentials *credentials)
{
	return credentials->svid;
}

struct private_key *credentials_key(const struct credentials *credentials)
{
	return credentials->key;
}

struct bundle_set *credentials_bundles(const struct credentials *credentials)
{
	return credentials->bundles;
}

struct epoch credentials_epoch(const struct credentials *credentials)
{
	return credentials->epoch;
}

const struct spiffe_id *credentials_id(const struct credentials *credentials)
{
	return svid_id(credentials->svid);
}

uint64_t credentials_generation(const struct credentials *credentials)
{
	return credentials->generation;
}

int64_t credentials_until_s(const struct credentials *credentials)
{
	return credentials->until_s;
}

bool credentials_are_valid(const struct credentials *credentials, int64_t now_s)
{
	return now_s >= svid_not_before_s(credentials->svid) && now_s < credentials->until_s;
}
