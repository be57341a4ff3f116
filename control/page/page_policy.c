#include "control/page/page_policy.h"
#include "base/core/base64.h"
#include "certs/digest.h"
#include <string.h>

/* What stands between the one begin and the one end. */
static enum err find_part(struct span html, const char *begin, const char *end, struct span *out)
{
	const char *text = (const char *)html.ptr;
	const char *from = memmem(text, html.len, begin, strlen(begin));
	if (from == NULL)
		return ERR_MALFORMED;
	from += strlen(begin);
	size_t left = html.len - (size_t)(from - text);
	const char *to = memmem(from, left, end, strlen(end));
	if (to == NULL || memmem(from, left, begin, strlen(begin)) != NULL)
		return ERR_MALFORMED;
	*out = span_of(from, (size_t)(to - from));
	return ERR_NONE;
}

/* CSP 3: 'sha256-' and base64 of the text between the tags. */
static enum err put_hash(struct span html, const char *begin, const char *end, const char *name, struct buf *out)
{
	uint8_t hash[DIGEST_LEN];
	struct span part;
	RETURN_IF_ERR(find_part(html, begin, end, &part));
	digest_sha256(part, hash);
	RETURN_IF_ERR(buf_printf(out, "; %s 'sha256-", name));
	RETURN_IF_ERR(base64_encode(span_of(hash, DIGEST_LEN), out));
	return buf_append_str(out, "'");
}

enum err page_policy(struct span html, struct buf *out)
{
	RETURN_IF_ERR(buf_append_str(out, "default-src 'none'"));
	RETURN_IF_ERR(put_hash(html, "<style>", "</style>", "style-src", out));
	RETURN_IF_ERR(put_hash(html, "<script>", "</script>", "script-src", out));
	return buf_append_str(out, "; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
				   "require-trusted-types-for 'script'; trusted-types 'none'");
}
