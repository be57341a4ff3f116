#include "control/audit/audit_cut.h"
#include "base/core/check.h"
#include "base/core/hex.h"
#include <inttypes.h>
#include <stdio.h>

#define TEXT_MAX    200
#define EVENT_FIELD "\",\"event\":\""
#define BEGIN       "cut lines: "

/* --- the shape of a cut line --- */

/* Takes the text, or as much of it as there is. */
static bool take(struct span *rest, struct span text)
{
	size_t len = rest->len < text.len ? rest->len : text.len;
	if (len > 0 && memcmp(rest->ptr, text.ptr, len) != 0)
		return false;
	*rest = span_from(*rest, len);
	return true;
}

static void take_time(struct span *rest)
{
	while (rest->len > 0 && memchr("0123456789-:.TZ", rest->ptr[0], sizeof "0123456789-:.TZ" - 1) != NULL)
		*rest = span_from(*rest, 1);
}

/* Up to the quote that ends it. */
static bool take_event(struct span *rest)
{
	while (rest->len > 0 && rest->ptr[0] != '"') {
		if (rest->ptr[0] < ' ' || rest->ptr[0] > '~')
			return false;
		bool is_escape = rest->ptr[0] == '\\' && rest->len > 1;
		if (is_escape && rest->ptr[1] != '"' && rest->ptr[1] != '\\')
			return false;
		*rest = span_from(*rest, is_escape ? 2 : 1);
	}
	return true;
}

/* What follows the event. At its last byte the line would be whole. */
static bool take_hashes(const struct audit_chain *chain, struct span line, struct span *rest)
{
	char hex[2 * DIGEST_LEN + 1], text[TEXT_MAX];
	uint8_t digest[DIGEST_LEN];
	hex_format(span_of(chain->hash, DIGEST_LEN), hex);
	snprintf(text, sizeof text, "\",\"previous\":\"%s\"", hex);
	if (!take(rest, span_of_str(text)))
		return false;
	digest_sha256(span_of(line.ptr, line.len - rest->len), digest);
	hex_format(span_of(digest, DIGEST_LEN), hex);
	snprintf(text, sizeof text, ",\"hash\":\"%s\"}", hex);
	return rest->len < strlen(text) && take(rest, span_of_str(text)) && rest->len == 0;
}

bool audit_cut_is(const struct audit_chain *chain, struct span line)
{
	char begin[TEXT_MAX];
	if (line.len == 0 || line.len >= AUDIT_LINE_MAX)
		return false;
	while (line.len > 0 && line.ptr[line.len - 1] == '\0')
		line.len--;
	struct span rest = line;
	snprintf(begin, sizeof begin, "{\"number\":%" PRIu64 ",\"time\":\"", chain->number + 1);
	if (!take(&rest, span_of_str(begin)))
		return false;
	take_time(&rest);
	return take(&rest, SPAN_LITERAL(EVENT_FIELD)) && take_event(&rest) && take_hashes(chain, line, &rest);
}

enum err audit_cut_add(struct buf *out, struct span line)
{
	if (buf_room(out) < line.len + 1)
		return ERR_LIMIT;
	RETURN_IF_ERR(buf_append(out, line));
	return buf_append(out, SPAN_LITERAL("\n"));
}

/* --- the line that states them --- */

static void statement(struct span cut, char out[TEXT_MAX])
{
	char hex[2 * DIGEST_LEN + 1];
	uint8_t digest[DIGEST_LEN];
	digest_sha256(cut, digest);
	hex_format(span_of(digest, DIGEST_LEN), hex);
	snprintf(out, TEXT_MAX, BEGIN "%zu bytes with the SHA-256 %s, by a crash or a full disk", cut.len, hex);
}

enum err audit_cut_state(struct audit_chain *chain, int64_t wall_ms, struct span cut, struct buf *out)
{
	char text[TEXT_MAX];
	statement(cut, text);
	return audit_chain_add(chain, wall_ms, text, out);
}

/* From the event's first byte on. The field is the first of its name: nothing before it is of free form. */
static struct span event_of(struct span line)
{
	const uint8_t *at = memmem(line.ptr, line.len, EVENT_FIELD, sizeof EVENT_FIELD - 1);
	return at == NULL ? span_of(NULL, 0) : span_from(line, (size_t)(at - line.ptr) + sizeof EVENT_FIELD - 1);
}

bool audit_cut_is_statement(struct span line)
{
	return span_starts_with(event_of(line), SPAN_LITERAL(BEGIN));
}

bool audit_cut_is_stated(struct span line, struct span cut)
{
	char text[TEXT_MAX];
	statement(cut, text);
	return span_starts_with(event_of(line), span_of_str(text));
}
