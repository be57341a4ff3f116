#include "control/attest/join_token.h"
#include "base/core/base64url.h"
#include "base/core/check.h"
#include "control/store/record.h"

void join_token_done(struct join_token *token)
{
	spiffe_id_done(&token->id);
}

static enum err put_networks(const struct join_token *token, struct buf *out)
{
	CHECK(token->num_networks <= JOIN_TOKEN_NETWORKS_MAX);
	for (size_t i = 0; i < token->num_networks; i++) {
		char text[ADDR_TEXT_MAX];
		RETURN_IF_ERR(record_put(out, "network", span_of_str(network_format(&token->networks[i], text))));
	}
	return ERR_NONE;
}

enum err join_token_encode(const struct join_token *token, struct buf *out)
{
	RETURN_IF_ERR(record_put(out, "id", spiffe_id_text(&token->id)));
	RETURN_IF_ERR(record_put_hex(out, "secret_sha256", span_of(token->secret_hash, DIGEST_LEN)));
	RETURN_IF_ERR(record_put_number(out, "not_before", token->not_before_s));
	RETURN_IF_ERR(record_put_number(out, "not_after", token->not_after_s));
	RETURN_IF_ERR(put_networks(token, out));
	if (token->has_bootstrap_hash)
		RETURN_IF_ERR(record_put_hex(out, "bootstrap_sha256", span_of(token->bootstrap_hash, DIGEST_LEN)));
	return token->is_bound ? record_put_hex(out, "key", span_of(token->key_hash, DIGEST_LEN)) : ERR_NONE;
}

static enum err parse_networks(struct span record, struct join_token *out)
{
	struct span text;
	for (; record_get(record, "network", out->num_networks, &text); out->num_networks++)
		if (out->num_networks == JOIN_TOKEN_NETWORKS_MAX ||
			network_parse(text, &out->networks[out->num_networks]) != ERR_NONE)
			return ERR_STATE_DAMAGED;
	return ERR_NONE;
}

enum err join_token_parse(struct span record, struct join_token *out)
{
	_cleanup_(join_token_done) struct join_token token = {0};
	struct span id, key;
	if (!record_get(record, "id", 0, &id) || spiffe_id_parse(id, &token.id, NULL) != ERR_NONE ||
		!record_hex(record, "secret_sha256", token.secret_hash, DIGEST_LEN))
		return ERR_STATE_DAMAGED;
	token.not_before_s = record_number(record, "not_before", INT64_MAX);
	token.not_after_s = record_number(record, "not_after", 0);
	token.has_bootstrap_hash = record_hex(record, "bootstrap_sha256", token.bootstrap_hash, DIGEST_LEN);
	token.is_bound = record_get(record, "key", 0, &key);
	if (token.is_bound && !record_hex(record, "key", token.key_hash, DIGEST_LEN))
		return ERR_STATE_DAMAGED;
	RETURN_IF_ERR(parse_networks(record, &token));
	*out = token;
	token = (struct join_token){0};
	return ERR_NONE;
}

enum err join_token_line(struct span id, struct span secret, const uint8_t bootstrap_hash[DIGEST_LEN], struct buf *out)
{
	RETURN_IF_ERR(buf_append_str(out, "hf1."));
	RETURN_IF_ERR(base64url_encode(id, out));
	RETURN_IF_ERR(buf_append_str(out, "."));
	RETURN_IF_ERR(base64url_encode(secret, out));
	RETURN_IF_ERR(buf_append_str(out, "."));
	return base64url_encode(span_of(bootstrap_hash, DIGEST_LEN), out);
}

static bool is_in_networks(const struct join_token *token, const struct ip_addr *source)
{
	for (size_t i = 0; i < token->num_networks; i++)
		if (network_contains(&token->networks[i], source))
			return true;
	return token->num_networks == 0;
}

/* The answer to every request without the secret, whatever else is wrong: it is no oracle about tokens. */
static enum err refuse_secret(struct why *why)
{
	return why_set(why, ERR_DENIED, "a join token of this control plane", "make a new one: `handfast token create`",
		"the token is unknown or its secret is wrong");
}

enum err join_token_check(
	const struct join_token *token, const struct join_token_use *use, bool *out_binds, struct why *why)
{
	uint8_t hash[DIGEST_LEN];
	char text[ADDR_TEXT_MAX];
	digest_sha256(use->secret, hash);
	if (use->secret.len != JOIN_TOKEN_SECRET_LEN ||
		!span_eq_constant_time(span_of(hash, DIGEST_LEN), span_of(token->secret_hash, DIGEST_LEN)))
		return refuse_secret(why);
	if (!is_in_networks(token, &use->source))
		return why_set(why, ERR_DENIED, "a source in the networks of the join token",
			"make one for this network: `handfast token create --network`",
			"the source %s is in none of them", ip_addr_format(&use->source, text));
	if (token->is_bound && memcmp(token->key_hash, use->key_hash, DIGEST_LEN) != 0)
		return why_set(why, ERR_DENIED, "a join token that has not been used",
			"make a new one: `handfast token create`; if this one was stolen: `handfast ban`",
			"the token was used by another attestation key");
	if (!token->is_bound && use->now_s < token->not_before_s)
		return why_set(why, ERR_NOT_YET_VALID, "a join token that is already valid", "check the clocks",
			"the token is not valid yet");
	if (!token->is_bound && use->now_s >= token->not_after_s)
		return why_set(why, ERR_EXPIRED, "a join token that is still valid",
			"make a new one: `handfast token create`", "the token expired %lld s ago",
			(long long)(use->now_s - token->not_after_s));
	*out_binds = !token->is_bound;
	return ERR_NONE;
}
