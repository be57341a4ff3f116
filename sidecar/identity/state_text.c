#include "sidecar/identity/state_text.h"

#include "base/core/base64url.h"
#include "base/core/check.h"
#include "base/core/hex.h"

#define FIRST_LINE "handfast-state 1"

static enum err damaged(struct why *why, const char *fault)
{
	return why_set(why, ERR_STATE_DAMAGED, "the enrolled state as it was written",
		"restore the file, or remove the state folder and enroll again with a new token: `handfast token "
		"create`",
		"%s", fault);
}

static enum err encode_bytes(const char *key, const uint8_t *bytes, struct buf *out)
{
	RETURN_IF_ERR(buf_printf(out, "%s ", key));
	RETURN_IF_ERR(base64url_encode(span_of(bytes, DIGEST_LEN), out));
	return buf_append_str(out, "\n");
}

enum err state_text_encode(const struct enrolled_state *state, struct buf *out)
{
	uint8_t sum[DIGEST_LEN];
	size_t start = buf_len(out);
	CHECK(state->num_pins <= STATE_PINS_MAX);
	RETURN_IF_ERR(buf_append_str(out, FIRST_LINE "\n"));
	for (size_t i = 0; i < state->num_pins; i++)
		RETURN_IF_ERR(encode_bytes("pin", state->pins[i], out));
	if (state->has_consumed_token)
		RETURN_IF_ERR(encode_bytes("used-token", state->consumed_token, out));
	if (state->epoch.incarnation != 0)
		RETURN_IF_ERR(buf_printf(out, "epoch %016llx%016llx\n", (unsigned long long)state->epoch.incarnation,
			(unsigned long long)state->epoch.counter));
	digest_sha256(span_from(buf_span(out), start), sum);
	return encode_bytes("sum", sum, out);
}

/* The next line without its line end; false: there is no complete line. */
static bool take_line(struct span *rest, struct span *out_line)
{
	const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->ptr, '\n', rest->len);
	if (end == NULL)
		return false;
	*out_line = span_of(rest->ptr, (size_t)(end - rest->ptr));
	*rest = span_from(*rest, out_line->len + 1);
	return true;
}

static bool take_key(struct span *line, struct span key)
{
	if (!span_starts_with(*line, key))
		return false;
	*line = span_from(*line, key.len);
	return true;
}

static bool parse_bytes(struct span text, uint8_t out[DIGEST_LEN])
{
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(DIGEST_LEN);
	if (base64url_decode(text, &bytes) != ERR_NONE || buf_len(&bytes) != DIGEST_LEN)
		return false;
	memcpy(out, buf_span(&bytes).ptr, DIGEST_LEN);
	return true;
}

static bool parse_hex64(struct span text, uint64_t *out)
{
	uint8_t bytes[8];
	if (!hex_parse(text, bytes, sizeof(bytes)))
		return false;
	*out = 0;
	for (size_t i = 0; i < sizeof(bytes); i++)
		*out = *out << 8 | bytes[i];
	return true;
}

static bool parse_epoch(struct span text, struct epoch *out)
{
	return text.len == 32 && parse_hex64(span_of(text.ptr, 16), &out->incarnation) &&
	       parse_hex64(span_from(text, 16), &out->counter) && out->incarnation != 0;
}

static bool parse_line(struct span line, struct enrolled_state *state)
{
	if (take_key(&line, SPAN_LITERAL("pin ")))
		return state->num_pins < STATE_PINS_MAX && parse_bytes(line, state->pins[state->num_pins++]);
	if (take_key(&line, SPAN_LITERAL("used-token ")))
		return state->has_consumed_token = parse_bytes(line, state->consumed_token);
	return take_key(&line, SPAN_LITERAL("epoch ")) && parse_epoch(line, &state->epoch);
}

static bool has_sum(struct span text, size_t summed, struct span line)
{
	uint8_t stored[DIGEST_LEN], sum[DIGEST_LEN];
	digest_sha256(span_of(text.ptr, summed), sum);
	return parse_bytes(line, stored) && memcmp(stored, sum, DIGEST_LEN) == 0;
}

enum err state_text_parse(struct span text, struct enrolled_state *out, struct why *why)
{
	struct enrolled_state state = {0};
	struct span rest = text, line;
	if (!take_line(&rest, &line) || !span_eq(line, SPAN_LITERAL(FIRST_LINE)))
		return damaged(why, "the first line of the enrolled state is not \"" FIRST_LINE "\"");
	for (;;) {
		size_t above = text.len - rest.len;
		if (!take_line(&rest, &line))
			return damaged(why, "the last line of the enrolled state is missing");
		if (take_key(&line, SPAN_LITERAL("sum "))) {
			if (rest.len != 0 || !has_sum(text, above, line))
				return damaged(why, "the checksum of the enrolled state does not match");
			*out = state;
			return ERR_NONE;
		}
		if (!parse_line(line, &state))
			return damaged(why, "a line of the enrolled state is malformed");
	}
}
