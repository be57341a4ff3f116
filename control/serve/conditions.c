/* Degraded conditions, by name, so that an operator or an alert can act in time. They appear at /healthz/ready (which
 * stays 200), in the metrics and in `handfast status`, and are logged when they begin and once per day. */
#include "base/core/date.h"
#include "base/core/log.h"
#include "certs/expiry.h"
#include "certs/svid.h"
#include "control/serve/serve_private.h"
#include <stdio.h>

#define DAY_S       86400
#define ROOT_WARN_S (30LL * DAY_S)
/* Which of them can be replaced while the mesh runs. */
static const char *const fixes[] = {
	"see what its replacement waits for: `handfast ca status`; or begin one: `handfast ca rotate --bootstrap`",
	"see what a rotation waits for: `handfast ca status`; or begin one: `handfast ca rotate`",
};

static const enum control_metric metrics[SERVE_CONDITIONS_NUM] = {
	[SERVE_CONDITION_STORE] = CONTROL_CONDITION_STORE,
	[SERVE_CONDITION_ROOT] = CONTROL_CONDITION_ROOT,
	[SERVE_CONDITION_BOOTSTRAP_ROOT] = CONTROL_CONDITION_BOOTSTRAP_ROOT,
	[SERVE_CONDITION_OWN_AUTHORITY] = CONTROL_CONDITION_OWN_AUTHORITY,
	[SERVE_CONDITION_INTERMEDIATE] = CONTROL_CONDITION_INTERMEDIATE,
	[SERVE_CONDITION_SERVER] = CONTROL_CONDITION_SERVER,
	[SERVE_CONDITION_LISTS] = CONTROL_CONDITION_LISTS,
	[SERVE_CONDITION_PAGE] = CONTROL_CONDITION_PAGE,
};

/* The mesh's root is the second of the authorities, the bootstrap root the first (control_start.c). */
static bool root_ends(const struct serve *serve, size_t i, struct why *why)
{
	int64_t now_s = serve_now_ms(serve) / 1000;
	if (i >= serve->num_authorities || serve->authorities[i].not_after_s - now_s > ROOT_WARN_S)
		return false;
	int64_t left_s = serve->authorities[i].not_after_s - now_s;
	char date[DATE_TEXT_MAX];
	(void)why_set(why, ERR_EXPIRED, "a root that is valid for 30 days more", fixes[i],
		"the %s %s %s, %s%lld days%s: %s", serve->authority_kinds[i], left_s > 0 ? "ends" : "ended",
		date_format(serve->authorities[i].not_after_s, date), left_s > 0 ? "in " : "",
		(long long)((left_s < 0 ? -left_s : left_s) / DAY_S), left_s > 0 ? "" : " ago",
		i == 0 ? "no sidecar can reach this control plane after that" : "no certificate outlives it");
	return true;
}

/* Below a root of the operator's: there is no intermediate, or none came when one was due. */
static bool own_authority_fails(const struct serve *serve, struct why *why)
{
	const struct rotation *rotation = serve->options.rotation;
	if (serve->options.ca_source != NULL && ca_source_trouble(serve->options.ca_source)->err != ERR_NONE) {
		*why = *ca_source_trouble(serve->options.ca_source);
		return true;
	}
	if (rotation_lacks_intermediate(rotation)) {
		(void)why_set(why, ERR_UNAVAILABLE, "an intermediate of this control plane below the mesh's root",
			"`handfast ca csr` and `handfast ca import` here, or identity.ca.source",
			"this control plane issues nothing below the mesh's root");
		return true;
	}
	return false;
}

/* One that is replaced by itself at half of its life: with less than a quarter left that fails. */
static bool is_late(
	const struct serve *serve, const char *kind, const char *what, int64_t from_s, int64_t to_s, struct why *why)
{
	int64_t left_s = to_s - serve_now_ms(serve) / 1000;
	if (to_s == 0 || left_s >= cert_expiry_margin_s(kind, from_s, to_s, ROOT_WARN_S))
		return false;
	(void)why_set(why, ERR_EXPIRED, "one that is replaced at half of its life",
		"see the log of the signer, and the disk of the key folder; an intermediate below a root of your own: "
		"`handfast ca csr`",
		"the %s %s %lld s%s", what, left_s > 0 ? "expires in" : "expired",
		(long long)(left_s < 0 ? -left_s : left_s), left_s > 0 ? "" : " ago");
	return true;
}

static bool intermediate_ends(const struct serve *serve, struct why *why)
{
	return serve->num_authorities > SERVE_INTERMEDIATE &&
	       is_late(serve, "intermediate", "intermediate", serve->authorities[SERVE_INTERMEDIATE].not_before_s,
		       serve->authorities[SERVE_INTERMEDIATE].not_after_s, why);
}

static bool server_ends(const struct serve *serve, struct why *why)
{
	const struct svid *own = server_identity_svid(serve->options.identity);
	return own != NULL &&
	       is_late(serve, "server", "server certificate", svid_not_before_s(own), svid_not_after_s(own), why);
}

/* It is read at the start alone (decision 109). */
static bool page_is_lacking(const struct serve *serve, struct why *why)
{
	const struct why *trouble = serve->options.page_trouble;
	if (trouble == NULL || trouble->err == ERR_NONE)
		return false;
	char fix[sizeof why->fix];
	snprintf(fix, sizeof fix, "%.150s; then restart the control plane", trouble->fix);
	(void)why_set(why, trouble->err, trouble->expected, fix, "there is no operators' page: %s", trouble->got);
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
	case SERVE_CONDITION_OWN_AUTHORITY:
		return own_authority_fails(serve, why);
	case SERVE_CONDITION_INTERMEDIATE:
		return intermediate_ends(serve, why);
	case SERVE_CONDITION_SERVER:
		return server_ends(serve, why);
	case SERVE_CONDITION_LISTS:
		return crl_files_trouble(serve->options.lists, serve_now_ms(serve) / 1000, why) ||
		       own_lists_trouble(&serve->own_lists, why);
	case SERVE_CONDITION_PAGE:
		return page_is_lacking(serve, why);
	case SERVE_CONDITIONS_NUM:
		break;
	}
	return false;
}

const char *serve_condition_name(enum serve_condition condition)
{
	static const char *const names[SERVE_CONDITIONS_NUM] = {"store", "root_ends", "bootstrap_root_ends",
		"intermediate_ends", "server_certificate_ends", "own_authority", "revocation_lists", "page"};
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
