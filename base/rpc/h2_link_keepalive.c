/* Whether the peer still answers: a PING after each idle period, or at once. */
#include "base/core/check.h"
#include "base/rpc/h2_link_private.h"

static void on_keepalive(struct loop_timer *timer)
{
	struct h2_link *link = container_of(timer, struct h2_link, keepalive);
	bool was_stuck = link->is_stuck;
	uint32_t waited_ms = link->probe_ms != 0 ? link->probe_ms : link->options.keepalive_ms;
	if (link->probe_ms != 0 && link->has_received)
		link->awaits_ping_ack = false; /* its answer may wait behind a long message */
	link->probe_ms = 0;
	link->is_stuck = link->is_blocked; /* until it becomes writable */
	if (link->awaits_ping_ack || (was_stuck && link->is_stuck)) {
		struct why why = {0};
		(void)why_set(&why, ERR_TIMEOUT, "an answer to PING", "check that the peer runs, and the network to it",
			"the peer did not answer for %u ms", waited_ms);
		h2_link_end(link, &why);
		return;
	}
	if (link->state == LINK_OPEN && (link->options.always_pings || !link->has_received)) {
		link->awaits_ping_ack = true;
		h2_session_ping(link->h2);
	}
	link->has_received = false;
	loop_timer_start(link->options.loop, timer, link->options.keepalive_ms, on_keepalive);
}

void h2_link_probe(struct h2_link *link, uint32_t within_ms)
{
	CHECK(within_ms > 0);
	if (link->state != LINK_OPEN || link->probe_ms != 0)
		return;
	link->probe_ms = within_ms;
	link->awaits_ping_ack = true;
	link->has_received = link->is_stuck = false;
	h2_session_ping(link->h2);
	loop_timer_start(link->options.loop, &link->keepalive, within_ms, on_keepalive);
	h2_link_flush(link);
}

void h2_link_keepalive_start(struct h2_link *link)
{
	loop_timer_start(link->options.loop, &link->keepalive, link->options.keepalive_ms, on_keepalive);
}
