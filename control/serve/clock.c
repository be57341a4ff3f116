/* The clock of this host, by which every certificate is made and checked. */
#include "base/core/log.h"
#include "control/serve/serve_private.h"

void clock_poll(struct serve *serve)
{
	const struct clock *clock = loop_clock(serve->options.loop);
	int64_t by_ms = 0;
	(void)trusted_time_update(&serve->time, clock, clock->wall_ms(clock), false);
	enum clock_event event = clock_watch_poll(
		&serve->clock, clock->wall_ms(clock), clock->boot_ms(clock), clock->mono_ms(clock), &by_ms);
	switch (event) {
	case CLOCK_STEADY:
		return;
	case CLOCK_SLEPT:
		log_warning("serve", "this machine was suspended for %lld s", (long long)(by_ms / 1000));
		break;
	case CLOCK_WAS_SET:
		serve_count(serve, CONTROL_CLOCK_SET);
		log_error("serve",
			"the clock of this host was set %s by %lld s: other hosts refuse certificates made with a "
			"wrong clock, and certificates are checked by the new time after %d s only; check the time "
			"source of this host",
			by_ms > 0 ? "forward" : "back", (long long)(((by_ms < 0 ? -by_ms : by_ms) + 500) / 1000),
			TRUSTED_TIME_DOUBT_MS / 1000);
		break;
	}
	serve->steady_since_ms = loop_now_ms(serve->options.loop);
	/* A sidecar accepts another time only after a minute: send it at once. */
	identity_push_trust(serve);
}
