/* Reports that this host's clock and the control plane's differ: certificates then seem to end early, or not to be
 * valid yet. */
#include "base/core/clock.h"
#include "base/core/log.h"
#include "sidecar/sidecar_private.h"
#include <stdio.h>
#include <stdlib.h>

enum { DIFFERENCE_MIN_S = 300 };

/* How far this host's clock is ahead of the control plane's time; 0: that has not come yet. */
static long long ahead_s(const struct sidecar *sidecar)
{
	const struct clock *clock = loop_clock(sidecar->loop);
	if (sidecar->time.anchor_boot_ms == 0)
		return 0;
	return clock->wall_ms(clock) / 1000 - trusted_time_authenticated_s(&sidecar->time, clock);
}

void sidecar_clock_poll(struct sidecar *sidecar)
{
	const long long ahead = ahead_s(sidecar);
	const bool was_shown = sidecar->clock_detail[0] != '\0';
	sidecar->clock_detail[0] = '\0';
	if (llabs(ahead) < DIFFERENCE_MIN_S)
		return;
	(void)snprintf(sidecar->clock_detail, sizeof sidecar->clock_detail, "this host's is %lld s %s", llabs(ahead),
		ahead > 0 ? "ahead" : "behind");
	if (!was_shown)
		log_warning("identity", "the clocks of this host and of the control plane differ: %s; %s",
			sidecar->clock_detail, SIDECAR_CLOCK_FIX);
}
