#include "sidecar/identity/token.h"

#include "base/core/base64url.h"
#include "base/net/fd.h"

#define PREFIX "hf1."

enum { TOKEN_LINE_MAX = 1024 };

#define TOKEN_EXPECTED "a token line hf1.<id>.<secret>.<bootstrap root's SHA-256>"
#define TOKEN_FIX      "create a new token: `handfast token create --id spiffe://... --ttl 1h`"

/* Never contains what was read: a token with one wrong byte still reveals most of the secret. */
static enum err malformed(struct why *why, const char *fault)
{
	return why_set(why, ERR_MALFORMED, TOKEN_EXPECTED, TOKEN_FIX, "%s", fault);
}

/* The bytes up to the next dot, which is skipped; without a dot, the rest. */
static struct span take_part(struct span *rest)
{
	size_t len = 0;
	while (len < rest->len && rest->ptr[len] != '.')
		len++;
	struct span part = span_of(rest->ptr, len);
	*rest = len < rest->len ? span_from(*rest, len + 1) : span_of(NULL, 0);
	return part;
}

static enum err parse_parts(struct span rest, struct token *token, struct why *why)
{
	_cleanup_(buf_done) struct buf pin = BUF_INIT(DIGEST_LEN);
	if (base64url_decode(take_part(&rest), &token->id) != ERR_NONE || buf_len(&token->id) == 0)
		return malformed(why, "the id in the join token is not base64url of 1 to 128 bytes");
	if (base64url_decode(take_part(&rest), &token->secret) != ERR_NONE || buf_len(&token->secret) < 16)
		return malformed(why, "the secret in the join token is not base64url of 16 to 128 bytes");
	if (base64url_decode(take_part(&rest), &pin) != ERR_NONE || buf_len(&pin) != DIGEST_LEN)
		return malformed(why, "the hash in the join token is not base64url of 32 bytes");
	if (rest.ptr != NULL)
		return malformed(why, "the join token has a fifth part");
	memcpy(token->bootstrap_root_sha256, buf_span(&pin).ptr, DIGEST_LEN);
	return ERR_NONE;
}

enum err token_parse(struct span line, struct token *out, struct why *why)
{
	_cleanup_(token_done) struct token token = {.id = BUF_INIT(TOKEN_PART_MAX), .secret = BUF_INIT(TOKEN_PART_MAX)};
	if (line.len > 0 && line.ptr[line.len - 1] == '\n')
		line.len--;
	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	if (!span_starts_with(line, SPAN_LITERAL(PREFIX)))
		return malformed(why, "the join token does not begin with hf1.");
	RETURN_IF_ERR(parse_parts(span_from(line, sizeof(PREFIX) - 1), &token, why));
	*out = token;
	token = (struct token){0};
	return ERR_NONE;
}

enum err token_read(const char *path, struct token *out, struct why *why)
{
	_cleanup_(buf_wipe) struct buf line = BUF_INIT(TOKEN_LINE_MAX);
	RETURN_IF_ERR(fd_read_private_file(path, TOKEN_LINE_MAX, &line, why));
	return token_parse(buf_span(&line), out, why);
}

void token_done(struct token *token)
{
	buf_wipe(&token->id);
	buf_wipe(&token->secret);
	*token = (struct token){0};
}
