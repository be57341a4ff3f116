#include "control/audit/audit_chain.h"
#include "base/core/date.h"
#include "base/core/escape.h"
#include "base/core/hex.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEX_LEN      (2 * DIGEST_LEN)
#define HASH_FIELD   ",\"hash\":\""
#define HASH_LEN     (sizeof HASH_FIELD - 1 + HEX_LEN + 2) /* the field, the digits, the quote and the brace */
#define BEFORE_FIELD ",\"previous\":\""
#define BEFORE_LEN   (sizeof BEFORE_FIELD - 1 + HEX_LEN + 1)

/* After escape_ascii() only the quote and the backslash need escapes (RFC 8259 7). */
static enum err put_event(const char *event, struct buf *out)
{
	char escaped[1024];
	escape_ascii(span_of_str(event), escaped, sizeof escaped);
	for (const char *next = escaped; *next != '\0'; next++) {
		if (*next == '"' || *next == '\\')
			RETURN_IF_ERR(buf_append(out, SPAN_LITERAL("\\")));
		RETURN_IF_ERR(buf_append(out, span_of((const uint8_t *)next, 1)));
	}
	return ERR_NONE;
}

enum err audit_chain_add(struct audit_chain *chain, int64_t wall_ms, const char *event, struct buf *out)
{
	_cleanup_(buf_done) struct buf line = BUF_INIT(AUDIT_LINE_MAX);
	char before[HEX_LEN + 1], hash[HEX_LEN + 1], when[DATE_TEXT_MAX];
	uint8_t digest[DIGEST_LEN];
	hex_format(span_of(chain->hash, DIGEST_LEN), before);
	RETURN_IF_ERR(buf_printf(&line, "{\"number\":%" PRIu64 ",\"time\":\"%s\",\"event\":\"", chain->number + 1,
		date_format_ms(wall_ms, when)));
	RETURN_IF_ERR(put_event(event, &line));
	RETURN_IF_ERR(buf_printf(&line, "\"" BEFORE_FIELD "%s\"", before));
	digest_sha256(buf_span(&line), digest);
	hex_format(span_of(digest, DIGEST_LEN), hash);
	RETURN_IF_ERR(buf_printf(&line, HASH_FIELD "%s\"}\n", hash));
	RETURN_IF_ERR(buf_append(out, buf_span(&line)));
	chain->number++;
	memcpy(chain->hash, digest, DIGEST_LEN);
	return ERR_NONE;
}

static enum err damaged(const struct audit_chain *chain, const char *got, struct why *why)
{
	return why_set(why, ERR_STATE_DAMAGED, "a line that continues the one before it",
		"compare with a copy that was kept elsewhere, such as the collected log",
		"after line number %" PRIu64 ": %s", chain->number, got);
}

/* "{"number":12," */
static bool read_number(struct span line, uint64_t *out)
{
	static const char begin[] = "{\"number\":";
	uint64_t number = 0;
	if (line.len < sizeof begin || memcmp(line.ptr, begin, sizeof begin - 1) != 0)
		return false;
	size_t i = sizeof begin - 1;
	for (; i < line.len && line.ptr[i] >= '0' && line.ptr[i] <= '9'; i++)
		if (__builtin_mul_overflow(number, 10, &number) ||
			__builtin_add_overflow(number, (uint64_t)(line.ptr[i] - '0'), &number))
			return false;
	*out = number;
	return i > sizeof begin - 1 && i < line.len && line.ptr[i] == ',';
}

/* The hexadecimal value of the field with which the bytes end; close: what follows the digits. */
static bool read_tail(struct span bytes, const char *field, size_t len, uint8_t out[DIGEST_LEN])
{
	struct span tail = span_from(bytes, bytes.len - len);
	return memcmp(tail.ptr, field, strlen(field)) == 0 &&
	       hex_parse(span_of(tail.ptr + strlen(field), HEX_LEN), out, DIGEST_LEN);
}

enum err audit_chain_check(struct audit_chain *chain, struct span line, bool may_begin, struct why *why)
{
	uint8_t hash[DIGEST_LEN], before[DIGEST_LEN], computed[DIGEST_LEN];
	uint64_t number;
	if (line.len < HASH_LEN + BEFORE_LEN || memcmp(line.ptr + line.len - 2, "\"}", 2) != 0 ||
		!read_number(line, &number) || !read_tail(line, HASH_FIELD, HASH_LEN, hash))
		return damaged(chain, "a line is not whole", why);
	struct span body = span_of(line.ptr, line.len - HASH_LEN);
	if (!read_tail(body, BEFORE_FIELD, BEFORE_LEN, before))
		return damaged(chain, "a line is not whole", why);
	digest_sha256(body, computed);
	if (memcmp(computed, hash, DIGEST_LEN) != 0)
		return damaged(chain, "a line was changed", why);
	bool follows = number == chain->number + 1 && memcmp(before, chain->hash, DIGEST_LEN) == 0;
	if (!follows && !(may_begin && chain->number == 0))
		return damaged(chain, "lines are missing or were inserted", why);
	chain->number = number;
	memcpy(chain->hash, hash, DIGEST_LEN);
	return ERR_NONE;
}
