/* Making join tokens. */
#include "base/core/check.h"
#include "base/core/hex.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "control/attest/attest_private.h"
#include "control/store/record.h"

struct creation {
	struct buf line;
	uint8_t id[JOIN_TOKEN_ID_LEN];
	int64_t not_after_s;
	attest_token_fn *on_done;
	void *arg;
};

void attest_token_key(const uint8_t id[JOIN_TOKEN_ID_LEN], char out[TOKEN_KEY_LEN])
{
	_Static_assert(TOKEN_KEY_LEN <= STORE_KEY_MAX, "a key of the store");
	memcpy(out, TOKEN_KEY_PREFIX, sizeof TOKEN_KEY_PREFIX);
	hex_format(span_of(id, JOIN_TOKEN_ID_LEN), out + sizeof TOKEN_KEY_PREFIX - 1);
}

static enum err fill(const struct attest *attest, const struct attest_token_request *request, struct join_token *token,
	struct why *why)
{
	RETURN_IF_ERR(spiffe_id_parse(request->id, &token->id, why));
	if (!spiffe_id_in_trust_domain(&token->id, &attest->domain) || spiffe_id_is_reserved(&token->id) ||
		spiffe_id_path(&token->id).len == 0)
		return why_set(why, ERR_DENIED, "an identity that a workload of this trust domain may have",
			"name an identity of this trust domain whose path is not below /handfast", "%s is not allowed",
			token->id.text);
	if (svid_holders_is_banned(attest->store, &token->id))
		return why_set(why, ERR_REVOKED, "an identity that is not banned",
			"lift the ban first: `handfast unban`", "%s is banned", token->id.text);
	if (request->ttl_s < 0 || request->ttl_s > JOIN_TOKEN_TTL_MAX_S ||
		request->num_networks > JOIN_TOKEN_NETWORKS_MAX)
		return why_set(why, ERR_CONFIG, "at most 30 days and 16 networks",
			"lower --ttl, or name fewer networks", "the request has more");
	token->not_before_s = attest_now_s(attest) - 1;
	token->not_after_s = attest_now_s(attest) + (request->ttl_s == 0 ? 3600 : request->ttl_s);
	token->has_bootstrap_hash = true;
	memcpy(token->bootstrap_hash, request->bootstrap_hash, DIGEST_LEN);
	token->num_networks = request->num_networks;
	for (size_t i = 0; i < request->num_networks; i++)
		token->networks[i] = request->networks[i];
	return ERR_NONE;
}

static void on_stored(void *arg, enum err err, uint64_t version)
{
	struct creation *creation = arg;
	(void)version;
	creation->on_done(creation->arg, err, buf_span(&creation->line), span_of(creation->id, JOIN_TOKEN_ID_LEN),
		creation->not_after_s);
	buf_wipe(&creation->line);
	mem_free(creation);
}

static void creation_free(struct creation *creation)
{
	buf_wipe(&creation->line);
	mem_free(creation);
}
DEFINE_CLEANUP(struct creation *, creation_free)

enum err attest_token_create(struct attest *attest, const struct attest_token_request *request,
	attest_token_fn *on_done, void *arg, struct why *why)
{
	_cleanup_(join_token_done) struct join_token token = {0};
	_cleanup_(buf_done) struct buf record = BUF_INIT(STORE_VALUE_MAX);
	_cleanup_(creation_freep) struct creation *creation = mem_new(struct creation);
	CHECK(on_done != NULL);
	uint8_t id[JOIN_TOKEN_ID_LEN], secret[JOIN_TOKEN_SECRET_LEN];
	char key[TOKEN_KEY_LEN];
	RETURN_IF_ERR(fill(attest, request, &token, why));
	random_bytes(id, sizeof id);
	random_bytes(secret, sizeof secret);
	digest_sha256(span_of(secret, sizeof secret), token.secret_hash);
	*creation = (struct creation){.line = BUF_INIT(JOIN_TOKEN_LINE_MAX),
		.not_after_s = token.not_after_s,
		.on_done = on_done,
		.arg = arg};
	memcpy(creation->id, id, sizeof id);
	enum err err = join_token_line(
		span_of(id, sizeof id), span_of(secret, sizeof secret), request->bootstrap_hash, &creation->line);
	mem_wipe(secret, sizeof secret);
	RETURN_IF_ERR(err);
	RETURN_IF_ERR(join_token_encode(&token, &record));
	attest_token_key(id, key);
	store_swap(attest->store, key, 0, buf_span(&record), on_stored, TAKE_PTR(creation));
	return ERR_NONE;
}
