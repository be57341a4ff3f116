#include "base/core/check.h"
#include "sidecar/sidecar_private.h"

#include "base/core/log.h"
#include "base/net/service_manager.h"
#include <signal.h>

/* How often the connections are counted while the process is ending. It ends after two polls in a row without a
 * connection, so that a connection between the kernel and a worker is not missed. */
enum { POLL_MS = 250, QUIET_POLLS = 2 };

static void poll_totals(struct loop_timer *timer);

static bool has_served_the_minimum(const struct sidecar *sidecar)
{
	return sidecar->has_handed_over ||
	       loop_now_ms(sidecar->loop) >= sidecar->ending_since_ms + sidecar->config->drain_minimum_ms;
}

static void on_totals(void *arg, const struct worker_totals *totals)
{
	struct sidecar *sidecar = arg;
	CHECK(sidecar->is_ending && sidecar->is_gathering_totals);
	sidecar->is_gathering_totals = false;
	sidecar_successor_report(sidecar, totals->num_connections);
	sidecar->num_quiet_polls = totals->num_connections == 0 ? sidecar->num_quiet_polls + 1 : 0;
	if (sidecar->num_quiet_polls < QUIET_POLLS || !has_served_the_minimum(sidecar)) {
		loop_timer_start(sidecar->loop, &sidecar->drain_timer, POLL_MS, poll_totals);
		return;
	}
	log_notice("sidecar", "no connection is open; ending");
	loop_stop(sidecar->loop);
}

static void poll_totals(struct loop_timer *timer)
{
	struct sidecar *sidecar = container_of(timer, struct sidecar, drain_timer);
	CHECK(!sidecar->is_gathering_totals);
	sidecar->is_gathering_totals = true;
	worker_gather_totals(sidecar->workers, sidecar->num_workers, sidecar->loop, on_totals, sidecar);
}

static void deadline_passed(struct loop_timer *timer)
{
	struct sidecar *sidecar = container_of(timer, struct sidecar, drain_deadline);
	CHECK(sidecar->is_ending);
	log_warning("sidecar", "the drain timeout has expired; closing the open connections");
	loop_stop(sidecar->loop);
}

void sidecar_drain(struct sidecar *sidecar)
{
	if (sidecar->is_draining)
		return;
	sidecar_hand_over_stop(sidecar); /* a process that takes over would not drain */
	if (sidecar->has_handed_over)
		return;
	sidecar->is_draining = true;
	log_notice("sidecar", "draining: not ready; both directions are still served");
	sidecar_identity_drain(sidecar); /* first: callers must use other endpoints before connections end */
	for (unsigned i = 0; i < sidecar->num_workers; i++)
		worker_drain(sidecar->workers[i]);
}

static void end_when_quiet(struct sidecar *sidecar, uint64_t deadline_ms)
{
	sidecar->is_ending = true;
	sidecar->ending_since_ms = loop_now_ms(sidecar->loop);
	loop_timer_start(sidecar->loop, &sidecar->drain_timer, POLL_MS, poll_totals);
	loop_timer_start(sidecar->loop, &sidecar->drain_deadline, deadline_ms, deadline_passed);
}

/* Callers do not leave: the other process serves them at the same address. */
void sidecar_end_after_hand_over(struct sidecar *sidecar)
{
	CHECK(!sidecar->is_ending);
	sidecar->has_handed_over = true;
	sidecar_successor_ends_in(sidecar, sidecar->config->upgrade_ms);
	end_when_quiet(sidecar, sidecar->config->upgrade_ms);
}

/* The workload may have received SIGTERM at the same time and may still open connections: having none open does not end
 * the process before the drain minimum. */
static void end(struct sidecar *sidecar)
{
	const struct sidecar_config *config = sidecar->config;
	sidecar_hand_over_stop(sidecar);
	if (sidecar->has_handed_over && !sidecar->is_draining) { /* a second signal ends it at once */
		sidecar->is_draining = true;
		sidecar_successor_ends_in(sidecar, config->drain_ms);
		loop_timer_start(sidecar->loop, &sidecar->drain_deadline, config->drain_ms, deadline_passed);
		return;
	}
	if (sidecar->is_ending) {
		log_warning("sidecar", "received a second signal; closing the open connections");
		loop_stop(sidecar->loop);
		return;
	}
	if (sidecar_is_serving(sidecar))
		service_manager_stopping();
	sidecar_drain(sidecar);
	end_when_quiet(sidecar, config->drain_ms);
	log_notice("sidecar", "ending when no connection is open, after %.1f s at the earliest, %.1f s at the latest",
		(double)config->drain_minimum_ms / 1000, (double)config->drain_ms / 1000);
}

static void on_term(struct loop_signal *signal)
{
	end(container_of(signal, struct sidecar, on_term));
}

static void on_int(struct loop_signal *signal)
{
	end(container_of(signal, struct sidecar, on_int));
}

static void on_hup(struct loop_signal *signal)
{
	sidecar_reload(container_of(signal, struct sidecar, on_hup));
}

/* SIGHUP is blocked while the process starts (by main()) and ends (here): its default action would end the process. */
static void mask_hangup(int how)
{
	sigset_t hangup;
	sigemptyset(&hangup);
	sigaddset(&hangup, SIGHUP);
	pthread_sigmask(how, &hangup, NULL);
}

void sidecar_signals_start(struct sidecar *sidecar)
{
	loop_signal_start(sidecar->loop, &sidecar->on_term, SIGTERM, on_term);
	loop_signal_start(sidecar->loop, &sidecar->on_int, SIGINT, on_int);
	loop_signal_start(sidecar->loop, &sidecar->on_hup, SIGHUP, on_hup);
	mask_hangup(SIG_UNBLOCK);
}

void sidecar_signals_stop(struct sidecar *sidecar)
{
	mask_hangup(SIG_BLOCK);
	loop_signal_stop(&sidecar->on_term);
	loop_signal_stop(&sidecar->on_int);
	loop_signal_stop(&sidecar->on_hup);
	loop_timer_stop(&sidecar->drain_timer);
	loop_timer_stop(&sidecar->drain_deadline);
}
