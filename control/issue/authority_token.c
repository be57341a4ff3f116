/* The operator's authority is a key in a token (PKCS#11): the signer makes intermediates, and the token signs them. It
 * is needed once per half of an intermediate's life; leaves never wait for it. */
#include "certs/digest.h"
#include "control/issue/authority_chain.h"
#include "control/issue/authority_private.h"

/* The authority whose key the token has is the first of the file; above[] and root as for an intermediate of its own.
 */
static enum err read_upper(const struct authority *authority, struct chain *chain, struct key_pair *upper,
	struct span *out_root, struct why *why)
{
	RETURN_IF_ERR(chain_read_file(authority->options.own_certificate, chain, why));
	RETURN_IF_ERR(chain_read_file(authority->options.own_root, chain, why));
	buf_init(&upper->certificate, CERTIFICATE_MAX);
	RETURN_IF_ERR(buf_append(&upper->certificate, buf_span(&chain->der[0])));
	*out_root = buf_span(&chain->der[0]);
	if (chain_is_self_signed(*out_root))
		return ERR_NONE;
	RETURN_IF_ERR(chain_find_path(authority, chain, upper, out_root, why));
	if (buf_len(&upper->above[KEY_PAIR_ABOVE_MAX - 1]) > 0)
		return why_set(why, ERR_LIMIT, "at most 1 authority between that of the token and the root",
			"sign the token's authority by one that is nearer to the root", "there are more");
	return ERR_NONE;
}

/* Made by this token before, and in the first half of its life. */
static bool is_fresh(const struct authority *authority, const struct key_pair *pair, const struct key_pair *upper)
{
	int64_t from, to, now = authority_now_s(authority);
	return buf_len(&pair->certificate) > 0 &&
	       certificate_is_signed_by(buf_span(&pair->certificate), buf_span(&upper->certificate)) == ERR_NONE &&
	       certificate_validity(buf_span(&pair->certificate), &from, &to) == ERR_NONE && from <= now &&
	       now < from + (to - from) / 2;
}

static bool find_fresh(
	const struct authority *authority, const struct key_pair *upper, struct span root, struct imported *out)
{
	bool is_in_use = span_eq(root, buf_span(&authority->root.certificate));
	bool is_next = span_eq(root, buf_span(&authority->next_root.certificate));
	const struct key_pair *pair = is_in_use ? &authority->intermediate : &authority->imported;
	if ((!is_in_use && !is_next) || !is_fresh(authority, pair, upper))
		return false;
	*out = (struct imported){buf_span(is_in_use ? &authority->root.certificate : &authority->next_root.certificate),
		buf_span(&pair->certificate)};
	return true;
}

static enum err put_above(const struct key_pair *upper, struct span root, struct key_pair *pair)
{
	if (span_eq(buf_span(&upper->certificate), root))
		return ERR_NONE;
	buf_init(&pair->above[0], CERTIFICATE_MAX);
	RETURN_IF_ERR(buf_append(&pair->above[0], buf_span(&upper->certificate)));
	if (buf_len(&upper->above[0]) == 0)
		return ERR_NONE;
	buf_init(&pair->above[1], CERTIFICATE_MAX);
	return buf_append(&pair->above[1], buf_span(&upper->above[0]));
}

static enum err make(
	struct authority *authority, struct key_pair *upper, struct span root, struct key_pair *out, struct why *why)
{
	struct token_link *link = &authority->token;
	RETURN_IF_ERR(token_link_key(link, buf_span(&upper->certificate), &upper->key, why));
	enum err err = authority_make_ca(authority, &authority_intermediate_kind, upper, out, why);
	if (err != ERR_NONE && link->trouble.err != ERR_NONE)
		*why = link->trouble; /* BoringSSL knows only that there is no signature */
	RETURN_IF_ERR(err);
	return put_above(upper, root, out);
}

enum err authority_import_token(
	struct authority *authority, const struct import_request *request, struct imported *out, struct why *why)
{
	_cleanup_(chain_done) struct chain chain = {0};
	_cleanup_(key_pair_done) struct key_pair upper = {0}, pair = {0};
	struct span root;
	RETURN_IF_ERR(read_upper(authority, &chain, &upper, &root, why));
	if (find_fresh(authority, &upper, root, out))
		return ERR_NONE;
	RETURN_IF_ERR(make(authority, &upper, root, &pair, why));
	return authority_take_import(authority, request, &pair, root, out, why);
}
