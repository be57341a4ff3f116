/* Revocation lists of the signer's own authorities (RFC 5280 5): of the root if its key is here, of the intermediate,
 * and of the one before it, whose leaves are still out there. */
#include "base/core/check.h"
#include "control/issue/authority_private.h"
#include "control/issue/revocation_list.h"

#define FORMER_FILE     "intermediate-former"
#define LIST_BACKDATE_S 60 /* for clocks of verifiers that are behind */

static enum err find(
	const struct authority *authority, struct span sha256, const struct key_pair **out, struct why *why)
{
	const struct key_pair *const pairs[] = {
		&authority->intermediate, &authority->former_intermediate, &authority->root, &authority->former_root};
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		*out = pairs[i];
		if (pairs[i]->key != NULL && authority_pair_is(pairs[i], sha256))
			return ERR_NONE;
	}
	return why_set(why, ERR_NOT_FOUND, "an authority whose key this signer has",
		"let the control plane that has it publish the list; a root of the operator's has lists of its own: "
		"identity.crl_files",
		"the signer has no key of the authority whose list is asked for");
}

/* Two lists of one key never have the same number, also after a restart or with a clock that went back: the store has
 * the last one, and after a restored store the time is above it. */
static uint64_t next_number(struct authority *authority, uint64_t above)
{
	uint64_t number = (uint64_t)(authority_now_s(authority) < 0 ? 0 : authority_now_s(authority));
	if (number <= above)
		number = above + 1;
	if (number <= authority->last_list)
		number = authority->last_list + 1;
	authority->last_list = number;
	return number;
}

enum err authority_sign_list(
	struct authority *authority, const struct list_request *request, struct buf *out_der, struct why *why)
{
	const struct key_pair *pair;
	int64_t now = authority_now_s(authority), life_s = request->life_s;
	RETURN_IF_ERR(authority_check_epoch(authority, request->epoch, why));
	RETURN_IF_ERR(find(authority, request->sha256, &pair, why));
	if (request->above >= LIST_NUMBER_MAX)
		return why_set(why, ERR_LIMIT, "a number of the last list below 2^62",
			"replace the intermediate: `handfast revoke --intermediate`", "the number is at its end");
	if (life_s > 2 * authority->options.max_leaf_ttl_s)
		life_s = 2 * authority->options.max_leaf_ttl_s;
	if (life_s < LIST_LIFE_LEAST_S)
		life_s = LIST_LIFE_LEAST_S;
	const struct revocation_list_spec spec = {.issuer = buf_span(&pair->certificate),
		.issuer_key = pair->key,
		.this_update_s = now - LIST_BACKDATE_S,
		.next_update_s = now + life_s,
		.number = next_number(authority, request->above),
		.entries = request->entries};
	return revocation_list_make(&spec, out_der, why);
}

/* --- the intermediate before --- */

static bool is_same(const struct key_pair *a, const struct key_pair *b)
{
	return span_eq(buf_span(&a->certificate), buf_span(&b->certificate));
}

enum err authority_load_former(struct authority *authority, struct why *why)
{
	enum err err = key_folder_load(&authority->folder, FORMER_FILE, &authority->former_intermediate, why);
	return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

/* Written before the next one is: a crash between the two leaves the present one twice. */
enum err authority_keep_former(struct authority *authority, struct why *why)
{
	struct key_pair *now = &authority->intermediate;
	if (now->key == NULL || is_same(now, &authority->former_intermediate))
		return ERR_NONE;
	RETURN_IF_ERR(key_folder_save(&authority->folder, FORMER_FILE, now, why));
	key_pair_done(&authority->former_intermediate);
	return key_folder_load(&authority->folder, FORMER_FILE, &authority->former_intermediate, why);
}
