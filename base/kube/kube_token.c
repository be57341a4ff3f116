#include "base/kube/kube_token.h"
#include "base/core/check.h"
#include "base/net/fd.h"

void kube_token_init(struct kube_token *token, const struct kube_config *config)
{
	*token = (struct kube_token){.config = config, .text = BUF_INIT(KUBE_TOKEN_MAX)};
	if (config->token_file == NULL)
		CHECK(buf_append(&token->text, buf_span(&config->token)) == ERR_NONE);
}

void kube_token_done(struct kube_token *token)
{
	buf_wipe(&token->text);
}

static struct span trimmed(struct span text)
{
	while (text.len > 0 && text.ptr[text.len - 1] <= ' ')
		text.len--;
	return text;
}

/* What no header may have (RFC 9110 5.5): such a file is no token. */
static bool is_token(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f)
			return false;
	return text.len > 0;
}

static enum err read_file(struct kube_token *token, struct why *why)
{
	_cleanup_(buf_wipe) struct buf fresh = BUF_INIT(KUBE_TOKEN_MAX);
	RETURN_IF_ERR(fd_read_file(token->config->token_file, KUBE_TOKEN_MAX, &fresh, why));
	struct span text = trimmed(buf_span(&fresh));
	if (!is_token(text))
		return why_set(why, ERR_MALFORMED, "a token on one line", "check what writes the file",
			"%s has no token", token->config->token_file);
	if (span_eq(text, buf_span(&token->text)))
		return ERR_NONE;
	buf_wipe(&token->text);
	CHECK(buf_append(&token->text, text) == ERR_NONE);
	token->generation++;
	return ERR_NONE;
}

enum err kube_token_refresh(struct kube_token *token, uint64_t mono_ms, bool now, struct why *why)
{
	if (token->config->token_file == NULL)
		return ERR_NONE;
	if (token->has_read && !now && mono_ms - token->read_at_ms < KUBE_TOKEN_REREAD_MS)
		return ERR_NONE;
	struct why reason = {0};
	enum err err = read_file(token, &reason);
	token->has_read = err == ERR_NONE || buf_len(&token->text) > 0;
	token->read_at_ms = mono_ms;
	if (token->has_read)
		return ERR_NONE;
	if (why != NULL)
		*why = reason;
	return err;
}
