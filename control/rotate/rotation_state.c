#include "control/rotate/rotation_state.h"
#include "base/core/check.h"
#include "base/core/hex.h"
#include "base/core/mem.h"
#include "control/store/record.h"

#define BYTES_MAX 8192 /* of a certificate, or of a sealed key */

static const char *const names[ROTATION_NUM] = {"none", "publishing", "reissuing"};

const char *rotation_phase_name(enum rotation_phase phase)
{
	CHECK(phase < ROTATION_NUM);
	return names[phase];
}

bool forced_wait_is_over(struct forced_wait *wait, bool is_forced, int64_t phase_s, int64_t now_s, uint64_t now_ms)
{
	if (!is_forced || wait->since_ms == 0 || wait->phase_s != phase_s)
		*wait = (struct forced_wait){phase_s, now_ms == 0 ? 1 : now_ms};
	return is_forced &&
	       (now_s - phase_s >= ROTATION_FORCED_S || now_ms - wait->since_ms >= ROTATION_FORCED_S * 1000ull);
}

bool rotation_has_settled(uint64_t *since_ms, bool is_quiet, uint64_t now_ms)
{
	if (!is_quiet)
		*since_ms = 0;
	else if (*since_ms == 0)
		*since_ms = now_ms == 0 ? 1 : now_ms;
	return is_quiet && now_ms - *since_ms >= ROTATION_SETTLE_MS;
}

enum err rotation_state_encode(const struct rotation_state *state, struct buf *out)
{
	RETURN_IF_ERR(record_put(out, "phase", span_of_str(rotation_phase_name(state->phase))));
	RETURN_IF_ERR(record_put_hex(out, "active_sha256", span_of(state->active, DIGEST_LEN)));
	RETURN_IF_ERR(record_put_hex(out, "other_sha256", span_of(state->other, DIGEST_LEN)));
	RETURN_IF_ERR(record_put_number(out, "began", state->began_s));
	RETURN_IF_ERR(record_put_number(out, "phase_began", state->phase_s));
	RETURN_IF_ERR(record_put_number(out, "forced", state->is_forced));
	return record_put_number(out, "number", (int64_t)state->number);
}

static bool parse_phase(struct span record, enum rotation_phase *out)
{
	struct span text;
	if (!record_get(record, "phase", 0, &text))
		return false;
	for (unsigned i = 0; i < ROTATION_NUM; i++)
		if (span_eq(text, span_of_str(names[i]))) {
			*out = (enum rotation_phase)i;
			return true;
		}
	return false;
}

enum err rotation_state_parse(struct span record, struct rotation_state *out)
{
	struct rotation_state state = {0};
	if (!parse_phase(record, &state.phase) || !record_hex(record, "active_sha256", state.active, DIGEST_LEN) ||
		!record_hex(record, "other_sha256", state.other, DIGEST_LEN))
		return ERR_STATE_DAMAGED;
	state.began_s = record_number(record, "began", 0);
	state.phase_s = record_number(record, "phase_began", 0);
	state.is_forced = record_number(record, "forced", 0) != 0;
	state.number = (uint64_t)record_number(record, "number", 0);
	*out = state;
	return ERR_NONE;
}

void rotation_root_done(struct rotation_root *root)
{
	buf_done(&root->certificate);
	buf_done(&root->sealed);
}

void rotation_root_key(const uint8_t sha256[DIGEST_LEN], char out[ROTATION_ROOT_KEY_LEN])
{
	memcpy(out, ROTATION_ROOT_PREFIX, sizeof ROTATION_ROOT_PREFIX);
	hex_format(span_of(sha256, DIGEST_LEN), out + sizeof ROTATION_ROOT_PREFIX - 1);
}

enum err rotation_root_encode(const struct rotation_root *root, struct buf *out)
{
	RETURN_IF_ERR(record_put_hex(out, "certificate", buf_span(&root->certificate)));
	if (buf_len(&root->sealed) > 0)
		RETURN_IF_ERR(record_put_hex(out, "sealed_key", buf_span(&root->sealed)));
	if (root->is_operators)
		RETURN_IF_ERR(record_put_number(out, "operators", 1));
	if (root->withdrawn_s != 0)
		RETURN_IF_ERR(record_put_number(out, "withdrawn", root->withdrawn_s));
	return record_put_number(out, "retired", root->retired_s);
}

/* Absent: empty. */
static enum err get_bytes(struct span record, const char *name, struct buf *out)
{
	struct span digits;
	uint8_t *room;
	if (!record_get(record, name, 0, &digits))
		return ERR_NONE;
	RETURN_IF_ERR(buf_reserve(out, digits.len / 2, &room));
	if (digits.len % 2 != 0 || !hex_parse(digits, room, digits.len / 2))
		return ERR_STATE_DAMAGED;
	buf_commit(out, digits.len / 2);
	return ERR_NONE;
}

enum err rotation_root_parse(const char *key, struct span record, struct rotation_root *out)
{
	_cleanup_(rotation_root_done) struct rotation_root root = {
		.certificate = BUF_INIT(BYTES_MAX), .sealed = BUF_INIT(BYTES_MAX)};
	uint8_t digest[DIGEST_LEN];
	char expected[ROTATION_ROOT_KEY_LEN];
	if (get_bytes(record, "certificate", &root.certificate) != ERR_NONE ||
		get_bytes(record, "sealed_key", &root.sealed) != ERR_NONE)
		return ERR_STATE_DAMAGED;
	digest_sha256(buf_span(&root.certificate), digest);
	rotation_root_key(digest, expected);
	if (strcmp(key, expected) != 0)
		return ERR_STATE_DAMAGED;
	root.retired_s = record_number(record, "retired", 0);
	root.withdrawn_s = record_number(record, "withdrawn", 0);
	root.is_operators = record_number(record, "operators", 0) != 0;
	*out = root;
	root = (struct rotation_root){0};
	return ERR_NONE;
}
