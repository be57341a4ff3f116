#include "control/rotate/bootstrap_state.h"
#include "base/core/check.h"
#include "base/core/hex.h"
#include "control/store/record.h"

static const char *const names[BOOTSTRAP_PHASES_NUM] = {"none", "publishing", "overlap"};

const char *bootstrap_phase_name(enum bootstrap_phase phase)
{
	CHECK(phase < BOOTSTRAP_PHASES_NUM);
	return names[phase];
}

/* --- the bytes of a state, by name --- */

enum { NUM_PARTS = 6 };

static const char *const part_names[NUM_PARTS] = {
	"active", "active_sealed_key", "next", "next_sealed_key", "former", "cross"};

static void list_parts(struct bootstrap_state *state, struct buf *out[NUM_PARTS])
{
	struct buf *const parts[NUM_PARTS] = {&state->active, &state->active_sealed, &state->next, &state->next_sealed,
		&state->former, &state->cross};
	memcpy(out, parts, sizeof parts);
}

void bootstrap_state_init(struct bootstrap_state *state)
{
	struct buf *parts[NUM_PARTS];
	*state = (struct bootstrap_state){0};
	list_parts(state, parts);
	for (size_t i = 0; i < NUM_PARTS; i++)
		buf_init(parts[i], BOOTSTRAP_BYTES_MAX);
}

void bootstrap_state_done(struct bootstrap_state *state)
{
	struct buf *parts[NUM_PARTS];
	list_parts(state, parts);
	for (size_t i = 0; i < NUM_PARTS; i++)
		buf_done(parts[i]);
}

void bootstrap_state_copy(const struct bootstrap_state *from, struct bootstrap_state *to)
{
	struct bootstrap_state source = *from; /* the buffers are borrowed */
	struct buf *parts[NUM_PARTS], *sources[NUM_PARTS];
	list_parts(to, parts);
	list_parts(&source, sources);
	for (size_t i = 0; i < NUM_PARTS; i++) {
		buf_clear(parts[i]);
		CHECK(buf_append(parts[i], buf_span(sources[i])) == ERR_NONE);
	}
	to->phase = from->phase;
	to->began_s = from->began_s;
	to->phase_s = from->phase_s;
	to->is_forced = from->is_forced;
	to->number = from->number;
}

/* --- the record --- */

enum err bootstrap_state_encode(const struct bootstrap_state *state, struct buf *out)
{
	struct bootstrap_state source = *state;
	struct buf *parts[NUM_PARTS];
	list_parts(&source, parts);
	RETURN_IF_ERR(record_put(out, "phase", span_of_str(bootstrap_phase_name(state->phase))));
	RETURN_IF_ERR(record_put_number(out, "began", state->began_s));
	RETURN_IF_ERR(record_put_number(out, "phase_began", state->phase_s));
	RETURN_IF_ERR(record_put_number(out, "forced", state->is_forced));
	RETURN_IF_ERR(record_put_number(out, "number", (int64_t)state->number));
	for (size_t i = 0; i < NUM_PARTS; i++)
		if (buf_len(parts[i]) > 0)
			RETURN_IF_ERR(record_put_hex(out, part_names[i], buf_span(parts[i])));
	return ERR_NONE;
}

static bool parse_phase(struct span record, enum bootstrap_phase *out)
{
	struct span text;
	if (!record_get(record, "phase", 0, &text))
		return false;
	for (unsigned i = 0; i < BOOTSTRAP_PHASES_NUM; i++)
		if (span_eq(text, span_of_str(names[i]))) {
			*out = (enum bootstrap_phase)i;
			return true;
		}
	return false;
}

static bool parse_part(struct span record, const char *name, struct buf *out)
{
	struct span digits;
	uint8_t *room;
	if (!record_get(record, name, 0, &digits))
		return true;
	if (digits.len % 2 != 0 || buf_reserve(out, digits.len / 2, &room) != ERR_NONE ||
		!hex_parse(digits, room, digits.len / 2))
		return false;
	buf_commit(out, digits.len / 2);
	return true;
}

/* Each phase has its parts, and no others. */
static bool is_whole(const struct bootstrap_state *state)
{
	bool has_next = buf_len(&state->next) > 0 && buf_len(&state->next_sealed) > 0;
	bool has_active = buf_len(&state->active) > 0, has_cross = buf_len(&state->cross) > 0;
	if (has_active != (buf_len(&state->active_sealed) > 0))
		return false;
	if (state->phase == BOOTSTRAP_PUBLISHING)
		return has_next && has_cross && buf_len(&state->former) == 0;
	bool is_overlap = state->phase == BOOTSTRAP_OVERLAP;
	return buf_len(&state->next) == 0 && (!is_overlap || has_active) && has_cross == is_overlap &&
	       (buf_len(&state->former) > 0) == is_overlap;
}

enum err bootstrap_state_parse(struct span record, struct bootstrap_state *out)
{
	_cleanup_(bootstrap_state_done) struct bootstrap_state state;
	struct buf *parts[NUM_PARTS];
	bootstrap_state_init(&state);
	list_parts(&state, parts);
	bool is_good = parse_phase(record, &state.phase);
	for (size_t i = 0; i < NUM_PARTS && is_good; i++)
		is_good = parse_part(record, part_names[i], parts[i]);
	if (!is_good || !is_whole(&state))
		return ERR_STATE_DAMAGED;
	state.began_s = record_number(record, "began", 0);
	state.phase_s = record_number(record, "phase_began", 0);
	state.is_forced = record_number(record, "forced", 0) != 0;
	state.number = (uint64_t)record_number(record, "number", 0);
	bootstrap_state_copy(&state, out);
	return ERR_NONE;
}
