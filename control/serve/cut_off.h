/* Whether this control plane is cut off from a store that others share, and which sidecars it sends to another one then
 * (decision 080). Pure: time is an argument.
 *
 * A sidecar is sent away once per CUT_OFF_AGAIN_MS. One that is back before that has found no other control plane that
 * takes it, and is served with what this one knows: so with all of them cut off nothing is lost, and each sidecar costs
 * one round of handshakes per CUT_OFF_AGAIN_MS. */
#pragma once

#include "base/core/list.h"
#include "base/core/share_key.h"
#include "base/core/table.h"

#define CUT_OFF_AGAIN_MS 300000
#define CUT_OFF_RETRY_MS 500  /* before a sidecar dials the next one */
#define CUT_OFF_CALM_MS  3000 /* the store answers for so long before it counts as back */
#define CUT_OFF_BATCH_MIN                                                                                              \
	100 /* streams sent away per poll, or a tenth of all: the others take them one after the other */

enum cut_off_change { CUT_OFF_SAME, CUT_OFF_BEGAN, CUT_OFF_ENDED };

struct cut_off { /* in the owner's storage */
	bool is_cut_off;
	uint64_t polled_ms;  /* 0: not yet */
	uint64_t silent_ms;  /* while this process ran: one that was stopped begins anew */
	uint64_t calm_ms;    /* since the store answers again */
	struct table by_key; /* visits */
	struct list visits;  /* the oldest first */
	uint32_t num_visits, max_visits;
};
void cut_off_init(struct cut_off *cut_off, uint32_t max_visits);
void cut_off_done(struct cut_off *cut_off);
/* About once per second. store_silent_ms: store.h. */
enum cut_off_change cut_off_poll(struct cut_off *cut_off, uint64_t store_silent_ms, uint64_t now_ms);
/* Whether this sidecar goes to another control plane now; noted if so. Above max_visits no further one does. */
bool cut_off_sends_away(struct cut_off *cut_off, const struct share_key *key, uint64_t now_ms);
