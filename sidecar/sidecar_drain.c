#include "sidecar/sidecar_private.h"

#include "base/core/log.h"
#include <signal.h>

/* How often the connections are counted while the process is ending. Two counts of none in a row are the end, so that a
 * connection on its way between the kernel and a worker is not forgotten. */
enum { LOOK_MS = 250, QUIET_LOOKS = 2 };

static void look(struct loop_timer *timer);

static bool has_served_the_minimum(const struct sidecar *sidecar)
{
	return loop_now_ms(sidecar->loop) >= sidecar->ending_since_ms + sidecar->config->drain_minimum_ms;
}

static void on_totals(void *arg, const struct worker_totals *totals)
{
	struct sidecar *sidecar = arg;
	sidecar->is_asking_totals = false;
	sidecar->num_quiet_polls = totals->num_connections == 0 ? sidecar->num_quiet_polls + 1 : 0;
	if (sidecar->num_quiet_polls < QUIET_LOOKS || !has_served_the_minimum(sidecar)) {
		loop_timer_start(sidecar->loop, &sidecar->drain_timer, LOOK_MS, look);
		return;
	}
	log_notice("sidecar", "no connection is open; ending");
	loop_stop(sidecar->loop);
}

static void look(struct loop_timer *timer)
{
	struct sidecar *sidecar = container_of(timer, struct sidecar, drain_timer);
	sidecar->is_asking_totals = true;
	worker_gather_totals(sidecar->workers, sidecar->num_workers, sidecar->loop, on_totals, sidecar);
}

static void deadline_passed(struct loop_timer *timer)
{
	struct sidecar *sidecar = container_of(timer, struct sidecar, drain_deadline);
	log_warning("sidecar", "the drain deadline has passed; what is left is cut");
	loop_stop(sidecar->loop);
}

void sidecar_drain(struct sidecar *sidecar)
{
	if (sidecar->is_draining)
		return;
	sidecar->is_draining = true;
	log_notice("sidecar", "draining: not ready, and both directions are served on");
	identity_client_drain(sidecar->identity); /* first: callers are to go elsewhere before anything ends here */
	for (unsigned i = 0; i < sidecar->num_workers; i++)
		worker_drain(sidecar->workers[i]);
}

/* The workload may have got its SIGTERM in the same moment and still have calls to make: at first, having nothing open
 * proves nothing. */
static void end(struct sidecar *sidecar)
{
	const struct sidecar_config *config = sidecar->config;
	if (sidecar->is_ending) {
		log_warning("sidecar", "a second signal; what is left is cut");
		loop_stop(sidecar->loop);
		return;
	}
	sidecar_drain(sidecar);
	sidecar->is_ending = true;
	sidecar->ending_since_ms = loop_now_ms(sidecar->loop);
	log_notice("sidecar", "ending when no connection is open, after %.1f s at the earliest, %.1f s at the latest",
		(double)config->drain_minimum_ms / 1000, (double)config->drain_ms / 1000);
	loop_timer_start(sidecar->loop, &sidecar->drain_timer, LOOK_MS, look);
	loop_timer_start(sidecar->loop, &sidecar->drain_deadline, config->drain_ms, deadline_passed);
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

/* main() holds SIGHUP back while we start, and here while we end: it would end us otherwise. */
static void hold_hangup(int how)
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
	hold_hangup(SIG_UNBLOCK);
}

void sidecar_signals_stop(struct sidecar *sidecar)
{
	hold_hangup(SIG_BLOCK);
	loop_signal_stop(&sidecar->on_term);
	loop_signal_stop(&sidecar->on_int);
	loop_signal_stop(&sidecar->on_hup);
	loop_timer_stop(&sidecar->drain_timer);
	loop_timer_stop(&sidecar->drain_deadline);
}
