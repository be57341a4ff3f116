/* Degraded conditions, by name, so that an operator or an alert can act in time. They appear at /healthz/ready (which
 * stays 200), in the metrics and in `handfast status`, and are logged when they begin and once per day. */
#include "base/core/log.h"
#include "control/serve/serve_private.h"
#include <stdio.h>
#include <time.h>

#define DAY_S       86400
#define ROOT_WARN_S (30LL * DAY_S)
/* This release has no command that makes a new root beside the old one. */
#define ROOT_FIX                                                                                                       \
	"this release cannot replace it while the mesh runs: update before that day, or start over with an empty "     \
	"state_dir here and new join tokens for all sidecars (handfast token create)"

static const enum control_metric metrics[SERVE_CONDITIONS_NUM] = {
	[SERVE_CONDITION_STORE] = CONTROL_CONDITION_STORE,
	[SERVE_CONDITION_ROOT] = CONTROL_CONDITION_ROOT,
	[SERVE_CONDITION_BOOTSTRAP_ROOT] = CONTROL_CONDITION_BOOTSTRAP_ROOT,
};

const char *serve_date(int64_t seconds, char out[SERVE_DATE_MAX])
{
	time_t when = (time_t)seconds;
	struct tm utc;
	if (gmtime_r(&when, &utc) == NULL || strftime(out, SERVE_DATE_MAX, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
		out[0] = '\0';
	return out;
}

/* The mesh's root is the second of the authorities, the bootstrap root the first (control_start.c). */
static bool root_ends(const struct serve *serve, size_t i, struct why *why)
{
	int64_t now_s = serve_now_ms(serve) / 1000;
	if (i >= serve->num_authorities || serve->authorities[i].not_after_s - now_s > ROOT_WARN_S)
		return false;
	int64_t left_s = serve->authorities[i].not_after_s - now_s;
	char date[SERVE_DATE_MAX];
	(void)why_set(why, ERR_EXPIRED, "a root that is valid for 30 days more", ROOT_FIX,
		"the %s %s %s, %s%lld days%s: %s", serve->authority_kinds[i], left_s > 0 ? "ends" : "ended",
		serve_date(serve->authorities[i].not_after_s, date), left_s > 0 ? "in " : "",
		(long long)((left_s < 0 ? -left_s : left_s) / DAY_S), left_s > 0 ? "" : " ago",
		i == 0 ? "no sidecar can reach this control plane after that" : "no certificate outlives it");
	return true;
}

static bool judge(const struct serve *serve, enum serve_condition condition, struct why *why)
{
	switch (condition) {
	case SERVE_CONDITION_STORE:
		*why = *store_trouble(serve->options.store);
		return why->err != ERR_NONE;
	case SERVE_CONDITION_ROOT:
		return root_ends(serve, 1, why);
	case SERVE_CONDITION_BOOTSTRAP_ROOT:
		return root_ends(serve, 0, why);
	case SERVE_CONDITIONS_NUM:
		break;
	}
	return false;
}

const char *serve_condition_name(enum serve_condition condition)
{
	static const char *const names[SERVE_CONDITIONS_NUM] = {"store", "root_ends", "bootstrap_root_ends"};
	return names[condition];
}

void serve_each_condition(const struct serve *serve, serve_condition_fn *each, void *arg)
{
	struct why why = {0};
	for (unsigned i = 0; i < SERVE_CONDITIONS_NUM; i++)
		if (judge(serve, (enum serve_condition)i, &why))
			each(arg, (enum serve_condition)i, &why);
}

static void put_condition(void *arg, enum serve_condition condition, const struct why *why)
{
	char text[700];
	/* Too many: those that fit are enough. */
	(void)!buf_printf(
		arg, "degraded: %s: %s\n", serve_condition_name(condition), why_format(why, text, sizeof text));
}

void serve_list_conditions(const struct serve *serve, struct buf *out)
{
	serve_each_condition(serve, put_condition, out);
}

void conditions_scrape(const struct serve *serve)
{
	struct why why = {0};
	for (unsigned i = 0; i < SERVE_CONDITIONS_NUM; i++)
		metric_set(serve->options.metrics, metrics[i], judge(serve, (enum serve_condition)i, &why));
	if (serve->num_authorities < 2)
		return;
	metric_set(serve->options.metrics, CONTROL_BOOTSTRAP_ROOT_EXPIRES, serve->authorities[0].not_after_s);
	metric_set(serve->options.metrics, CONTROL_ROOT_EXPIRES, serve->authorities[1].not_after_s);
}

/* The store logs its own lines when this begins and ends. */
void conditions_sweep(struct serve *serve)
{
	struct why why = {0};
	uint64_t now_ms = loop_now_ms(serve->options.loop);
	for (unsigned i = SERVE_CONDITION_ROOT; i < SERVE_CONDITIONS_NUM; i++) {
		if (!judge(serve, (enum serve_condition)i, &why) || now_ms < serve->next_warning_ms[i])
			continue;
		log_why(LOG_LEVEL_WARNING, "serve", serve_condition_name((enum serve_condition)i), &why);
		serve->next_warning_ms[i] = now_ms + DAY_S * 1000ULL;
	}
}
