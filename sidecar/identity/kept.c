#include "sidecar/identity/kept.h"

#include "base/core/log.h"

#define COMPONENT "kept"

void kept_init(struct kept *kept, struct state_folder *state, const char *name, uint64_t pause_ms)
{
	*kept = (struct kept){.state = state, .name = name, .pause_ms = pause_ms};
}

static bool has_passed(const struct kept *kept, uint64_t pause_ms, uint64_t now_ms)
{
	return kept->written_ms == 0 || now_ms - kept->written_ms >= pause_ms;
}

/* A file that cannot be removed would come back at a restart: an error, once until it is kept again. */
static void drop(struct kept *kept)
{
	struct why why = {0};
	kept->is_removed = true;
	if (state_folder_drop(kept->state, kept->name, &why) == ERR_NONE || why.err == ERR_CONFLICT)
		return;
	if (kept->failure.err == ERR_NONE)
		log_why(LOG_LEVEL_ERROR, COMPONENT, "cannot remove a file that is out of date", &why);
	kept->failure = why;
}

bool kept_changed(struct kept *kept, enum kept_change change, uint64_t now_ms)
{
	kept->is_due = true;
	if (change == KEPT_IS_WRONG && has_passed(kept, KEPT_URGENT_PAUSE_MS, now_ms))
		return true;
	if (change == KEPT_IS_WRONG && !kept->is_removed)
		drop(kept);
	return false;
}

bool kept_is_due(const struct kept *kept, uint64_t now_ms)
{
	return kept->is_due && has_passed(kept, kept->is_removed ? KEPT_URGENT_PAUSE_MS : kept->pause_ms, now_ms);
}

static void failed(struct kept *kept, const struct why *why)
{
	if (why->err == ERR_CONFLICT && state_folder_waits(kept->state))
		return;
	if (kept->failure.err == ERR_NONE)
		log_why(LOG_LEVEL_WARNING, COMPONENT, "the state for a restart without a control plane is not kept",
			why);
	if (why->err != ERR_CONFLICT)
		drop(kept);
	if (kept->failure.err == ERR_NONE)
		kept->failure = *why;
}

void kept_write(struct kept *kept, struct span content, uint64_t now_ms)
{
	uint8_t sum[DIGEST_LEN];
	struct why why = {0};
	digest_sha256(content, sum);
	kept->is_due = false;
	if (content.len == 0) {
		drop(kept);
		return;
	}
	if (!kept->is_removed && kept->written_ms != 0 && memcmp(sum, kept->written, sizeof sum) == 0)
		return;
	kept->written_ms = now_ms == 0 ? 1 : now_ms;
	memcpy(kept->written, sum, sizeof sum);
	if (state_folder_keep(kept->state, kept->name, content, &why) != ERR_NONE) {
		kept->is_due = true; /* tried again after the pause */
		kept->is_removed = true;
		failed(kept, &why);
		return;
	}
	if (kept->failure.err != ERR_NONE)
		log_notice(COMPONENT, "the state for a restart without a control plane is kept again");
	kept->is_removed = false;
	kept->failure = (struct why){0};
}
