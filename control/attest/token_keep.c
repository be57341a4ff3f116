/* Stored tokens: listing, revocation, and removal of expired ones. */
#include "base/core/mem.h"
#include "control/attest/attest_private.h"
#include "control/store/record.h"

#define USED_KEPT_S 86400

static bool parse_key(const char *key, uint8_t out[JOIN_TOKEN_ID_LEN])
{
	const char *digits = key + strlen(TOKEN_KEY_PREFIX);
	_cleanup_(buf_done) struct buf record = BUF_INIT(128);
	return buf_printf(&record, "id=%s\n", digits) == ERR_NONE &&
	       record_hex(buf_span(&record), "id", out, JOIN_TOKEN_ID_LEN);
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

struct removal {                    /* the selection; the store is changed after it was listed */
	const struct spiffe_id *id; /* NULL: by time */
	int64_t now_s;
	unsigned max, num;
	struct {
		char key[TOKEN_KEY_LEN];
		uint64_t version;
	} * found;
};

static bool is_over(const struct removal *removal, const struct join_token *token)
{
	if (removal->id != NULL)
		return !token->is_bound && spiffe_id_eq(&token->id, removal->id);
	return removal->now_s >= token->not_after_s + (token->is_bound ? USED_KEPT_S : 0);
}

static void consider(void *arg, const char *key, const struct store_value *value)
{
	struct removal *removal = arg;
	_cleanup_(join_token_done) struct join_token token = {0};
	if (removal->num == removal->max || strlen(key) >= TOKEN_KEY_LEN ||
		join_token_parse(value->bytes, &token) != ERR_NONE || !is_over(removal, &token))
		return;
	if ((removal->num & (removal->num - 1)) == 0)
		removal->found = mem_realloc(
			removal->found, (removal->num == 0 ? 1 : 2 * removal->num) * sizeof *removal->found);
	memcpy(removal->found[removal->num].key, key, strlen(key) + 1);
	removal->found[removal->num++].version = value->version;
}

static unsigned remove_all(struct attest *attest, struct removal *removal)
{
	store_list(attest->store, TOKEN_KEY_PREFIX, consider, removal);
	for (unsigned i = 0; i < removal->num; i++)
		store_swap(
			attest->store, removal->found[i].key, removal->found[i].version, span_of(NULL, 0), NULL, NULL);
	mem_free(removal->found);
	return removal->num;
}

unsigned attest_tokens_drop(struct attest *attest, const struct spiffe_id *banned)
{
	struct removal removal = {.id = banned, .max = UINT32_MAX};
	return remove_all(attest, &removal);
}

unsigned attest_tokens_prune(struct attest *attest, unsigned max)
{
	struct removal removal = {.now_s = attest_now_s(attest), .max = max};
	return remove_all(attest, &removal);
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
