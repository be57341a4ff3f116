/* Why a change of the rotation cannot begin, or its next step is not taken. */
#include "base/core/date.h"
#include "base/core/log.h"
#include "control/issue/certificate.h"
#include "control/rotate/rotation_private.h"

enum err rotation_is_busy(const struct rotation *rotation, struct why *why)
{
	if (rotation->change == NULL)
		return ERR_NONE;
	return why_set(why, ERR_CONFLICT, "one change of the rotation at a time", "repeat the command",
		"a step of the rotation is being stored");
}

/* The signer would show a root that is to be used already as the next one. */
enum err rotation_is_behind(const struct rotation *rotation, struct why *why)
{
	if (rotation_signer_has_active(rotation))
		return ERR_NONE;
	return why_set(why, ERR_CONFLICT, "a signer that has the mesh's root", "repeat the command",
		"the signer does not have the present root yet");
}

enum err rotation_is_under_way(const struct rotation *rotation, struct why *why)
{
	return why_set(why, ERR_EXISTS, "no rotation under way",
		"see `handfast ca status`; `handfast ca rotate --force` goes on without silent sidecars, `handfast ca "
		"abort` gives up the next root",
		"rotation %llu is under way: %s", (unsigned long long)rotation->state.number,
		rotation_phase_name(rotation->state.phase));
}

/* A root that was made while a clock was wrong, or an operator's for later: what it signs is not valid before it. */
bool rotation_next_is_valid(struct rotation *rotation)
{
	const struct rotation_known *next = rotation_find(rotation, rotation->state.other);
	int64_t from_s, to_s, now = rotation_now_s(rotation);
	char from[DATE_TEXT_MAX], to[DATE_TEXT_MAX], text[DATE_TEXT_MAX];
	struct why why = {0};
	if (next == NULL || certificate_validity(buf_span(&next->root.certificate), &from_s, &to_s) != ERR_NONE ||
		(from_s <= now && now < to_s))
		return true;
	if (rotation->warned_number == rotation->state.number)
		return false;
	rotation->warned_number = rotation->state.number;
	(void)why_set(&why, ERR_NOT_YET_VALID, "a root that is valid now",
		"correct this host's clock, wait, or give the rotation up: `handfast ca abort`",
		"the next root is valid from %s to %s, and this host's clock has %s", date_format(from_s, from),
		date_format(to_s, to), date_format(now, text));
	log_why(LOG_LEVEL_ERROR, "rotate", "the rotation waits", &why);
	return false;
}

bool rotation_phase_is_over(struct rotation *rotation, const struct rotation_progress *progress)
{
	const struct rotation_state *state = &rotation->state;
	uint64_t now_ms = loop_now_ms(rotation->options.loop);
	bool is_reissuing = state->phase == ROTATION_REISSUING;
	bool is_quiet = progress->is_published && !rotation_progress_waits(progress);
	bool is_forced = forced_wait_is_over(
		&rotation->forced, state->is_forced, state->phase_s, rotation_now_s(rotation), now_ms);
	bool has_settled = rotation_has_settled(&rotation->settles_since_ms, is_quiet && is_reissuing, now_ms);
	return progress->is_published && (is_forced || (is_reissuing ? has_settled : is_quiet));
}
