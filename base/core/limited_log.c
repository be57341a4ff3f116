#include "base/core/limited_log.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include <inttypes.h>

enum { SWEEP_MS = 1000 };

struct limited_log {
	struct loop *loop;
	const char *component;
	struct log_limit *limit;
	struct loop_timer sweep; /* runs while lines are requested */
	unsigned num_calm;       /* sweeps since then */
};

struct limited_log *limited_log_new(struct loop *loop, const char *component)
{
	struct limited_log *log = mem_new(struct limited_log);
	log->loop = loop;
	log->component = component;
	log->limit = log_limit_new(random_u64());
	return log;
}

static void on_suppressed(void *arg, const struct log_suppressed *suppressed)
{
	const struct limited_log *log = arg;
	log_notice(log->component, "%" PRIu64 " more lines about %s (%s) were suppressed in %" PRIu64 " s",
		suppressed->num, suppressed->who, suppressed->reason, (suppressed->during_ms + 500) / 1000);
}

void limited_log_free(struct limited_log *log)
{
	if (log == NULL)
		return;
	loop_timer_stop(&log->sweep);
	log_limit_sweep(log->limit, loop_now_ms(log->loop) + LOG_LIMIT_WINDOW_MS, on_suppressed, log);
	log_limit_free(log->limit);
	mem_free(log);
}

static void on_sweep(struct loop_timer *timer)
{
	struct limited_log *log = container_of(timer, struct limited_log, sweep);
	log_limit_sweep(log->limit, loop_now_ms(log->loop), on_suppressed, log);
	if (++log->num_calm <= LOG_LIMIT_WINDOW_MS / SWEEP_MS + 1)
		loop_timer_start(log->loop, &log->sweep, SWEEP_MS, on_sweep);
}

static bool allows(struct limited_log *log, const struct share_key *key, const char *who, const char *reason)
{
	log->num_calm = 0;
	if (!loop_timer_is_armed(&log->sweep))
		loop_timer_start(log->loop, &log->sweep, SWEEP_MS, on_sweep);
	return log_limit_take(log->limit, key, reason, who, loop_now_ms(log->loop));
}

bool limited_log_allows_source(struct limited_log *log, const struct ip_addr *source, const char *reason)
{
	struct share_key key = share_key_of_prefix64(source);
	char who[ADDR_TEXT_MAX];
	return allows(log, &key, ip_addr_format(source, who), reason);
}

bool limited_log_allows_identity(struct limited_log *log, const char *identity, const char *reason)
{
	struct share_key key = share_key_of_bytes(span_of_str(identity));
	return allows(log, &key, identity, reason);
}

uint64_t limited_log_num_suppressed(const struct limited_log *log)
{
	return log_limit_num_suppressed(log->limit);
}
