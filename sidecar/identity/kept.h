/* When a kept file is written: each change makes the one on disk older. One that must not be used any more (it lacks a
 * ban) is replaced at once, or, where it was written within the last second, removed until the next one is due; so the
 * disk's work is bounded, and no restart goes behind what was in force. Other changes are written together, `pause_ms`
 * after the last time. */
#pragma once

#include "sidecar/identity/state_folder.h"

#define KEPT_URGENT_PAUSE_MS 1000

enum kept_change { KEPT_IS_OLDER, KEPT_IS_WRONG };

struct kept {
	struct state_folder *state;
	const char *name;
	uint64_t pause_ms;
	uint64_t written_ms; /* 0: never */
	bool is_due, is_removed;
	struct why failure; /* why it is not kept; err ERR_NONE: it is */
	uint8_t written[DIGEST_LEN];
};

void kept_init(struct kept *kept, struct state_folder *state, const char *name, uint64_t pause_ms);
/* now_ms: monotonic. True: the caller calls kept_write() before it uses the change. */
bool kept_changed(struct kept *kept, enum kept_change change, uint64_t now_ms);
/* To be called about once per second. True: the caller calls kept_write(). */
bool kept_is_due(const struct kept *kept, uint64_t now_ms);
/* Empty content: the file is removed. A failure is logged once, stays in kept->failure until the file is kept
 * again, and the file is removed. */
void kept_write(struct kept *kept, struct span content, uint64_t now_ms);
