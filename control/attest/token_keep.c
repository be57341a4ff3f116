/* Stored tokens: listing, revocation, and removal of expired ones. */
#include "base/core/hex.h"
#include "control/attest/attest_private.h"
#include <limits.h>

#define USED_KEPT_S 86400

static bool parse_key(const char *key, uint8_t out[JOIN_TOKEN_ID_LEN])
{
	return hex_parse(span_of_str(key + strlen(TOKEN_KEY_PREFIX)), out, JOIN_TOKEN_ID_LEN);
}

struct listing {
	attest_token_each_fn *on_token;
	void *arg;
};

static void list_one(void *arg, const char *key, const struct store_value *value)
{
	const struct listing *listing = arg;
	_cleanup_(join_token_done) struct join_token token = {0};
	uint8_t id[JOIN_TOKEN_ID_LEN];
	if (parse_key(key, id) && join_token_parse(value->bytes, &token) == ERR_NONE)
		listing->on_token(listing->arg, span_of(id, sizeof id), &token);
}

void attest_token_each(const struct attest *attest, attest_token_each_fn *on_token, void *arg)
{
	struct listing listing = {on_token, arg};
	store_list(attest->store, TOKEN_KEY_PREFIX, list_one, &listing);
}

enum err attest_token_revoke(
	struct attest *attest, struct span id, struct attest_revoked *out, store_done_fn *on_done, void *arg)
{
	_cleanup_(join_token_done) struct join_token token = {0};
	char key[TOKEN_KEY_LEN];
	struct store_value value;
	if (id.len != JOIN_TOKEN_ID_LEN)
		return ERR_NOT_FOUND;
	attest_token_key(id.ptr, key);
	if (!store_get(attest->store, key, &value))
		return ERR_NOT_FOUND;
	RETURN_IF_ERR(join_token_parse(value.bytes, &token));
	out->was_used = token.is_bound;
	spiffe_id_copy(&token.id, &out->id);
	store_swap(attest->store, key, value.version, span_of(NULL, 0), on_done, arg);
	return ERR_NONE;
}

/* --- many at once --- */

struct removal {
	const struct spiffe_id *id; /* NULL: by time */
	int64_t now_s;
};

static bool is_over(void *arg, const char *key, struct span record)
{
	const struct removal *removal = arg;
	_cleanup_(join_token_done) struct join_token token = {0};
	(void)key;
	if (join_token_parse(record, &token) != ERR_NONE)
		return false;
	if (removal->id != NULL)
		return !token.is_bound && spiffe_id_eq(&token.id, removal->id);
	return removal->now_s >= token.not_after_s + (token.is_bound ? USED_KEPT_S : 0);
}

unsigned attest_tokens_drop(struct attest *attest, const struct spiffe_id *banned)
{
	struct removal removal = {.id = banned};
	return store_prune(attest->store, TOKEN_KEY_PREFIX, UINT_MAX, is_over, &removal);
}

unsigned attest_tokens_prune(struct attest *attest, unsigned max)
{
	struct removal removal = {.now_s = attest_now_s(attest)};
	return store_prune(attest->store, TOKEN_KEY_PREFIX, max, is_over, &removal);
}

static bool is_unused(struct span record)
{
	_cleanup_(join_token_done) struct join_token token = {0};
	return join_token_parse(record, &token) == ERR_NONE && !token.is_bound;
}

enum err attest_tokens_drop_unused(struct store *store, size_t *out_num, struct why *why)
{
	return store_drop(store, TOKEN_KEY_PREFIX, is_unused, out_num, why);
}
