/* What an operator sees of the partners, and changes. */
#include "base/core/check.h"
#include "control/federate/federation_private.h"
#include "control/report/control_metrics.h"
#include <inttypes.h>

void federation_each(const struct federation *federation, federation_view_fn *each, void *arg)
{
	LIST_EACH(&federation->partners, struct partner, partner, link) {
		const struct federation_view view = {.settings = &partner->settings,
			.record = partner->has_record ? &partner->record : NULL,
			.success_s = partner->success_s,
			.num_fetched = partner->num_fetched,
			.num_failed = partner->num_failed,
			.refresh_s = partner_refresh_s(partner),
			.trouble = &partner->trouble};
		each(arg, &view);
	}
}

struct span federation_own_page(const struct federation *federation)
{
	return buf_span(&federation->own.page);
}

struct summary {
	int64_t num, num_troubled, oldest_success_s, first_end_s, num_fetched, num_failed;
};

static int64_t end_of(const struct partner_record *record)
{
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	return partner_record_bundle(record, &bundle, NULL) == ERR_NONE ? bundle_ends_s(bundle) : 0;
}

static void add(void *arg, const struct federation_view *view)
{
	struct summary *summary = arg;
	int64_t end_s = view->record == NULL ? 0 : end_of(view->record);
	if (summary->num == 0 || view->success_s < summary->oldest_success_s)
		summary->oldest_success_s = view->success_s;
	if (summary->num == 0 || end_s < summary->first_end_s)
		summary->first_end_s = end_s;
	summary->num++;
	summary->num_troubled += view->trouble->err != ERR_NONE;
}

void federation_scrape(const struct federation *federation)
{
	struct metric_shard *metrics = federation->options.metrics;
	struct summary summary = {0};
	federation_each(federation, add, &summary);
	metric_set(metrics, CONTROL_FEDERATION_PARTNERS, summary.num);
	metric_set(metrics, CONTROL_CONDITION_FEDERATION, summary.num_troubled);
	metric_set(metrics, CONTROL_FEDERATION_SUCCESS, summary.oldest_success_s);
	metric_set(metrics, CONTROL_FEDERATION_ROOTS_END, summary.first_end_s);
	metric_set(metrics, CONTROL_FEDERATION_SEQUENCE, (int64_t)federation->own.sequence);
}

static int64_t value_of(enum control_partner_metric metric, const struct federation_view *view)
{
	switch (metric) {
	case CONTROL_PARTNER_SUCCESS:
		return view->success_s;
	case CONTROL_PARTNER_SEQUENCE:
		return view->record == NULL ? 0 : (int64_t)view->record->live.sequence;
	case CONTROL_PARTNER_ROOTS_END:
		return view->record == NULL ? 0 : end_of(view->record);
	case CONTROL_PARTNER_FAILED:
		return (int64_t)view->num_failed;
	case CONTROL_PARTNER_METRICS_NUM:
		break;
	}
	return 0;
}

struct partner_rows {
	enum control_partner_metric metric;
	struct buf *out;
};

static void put_row(void *arg, const struct federation_view *view)
{
	const struct partner_rows *rows = arg;
	(void)!buf_printf(rows->out, "%s{trust_domain=\"%s\"} %" PRId64 "\n",
		control_partner_metrics[rows->metric].name, view->settings->domain.name,
		value_of(rows->metric, view)); /* the page has room for far more */
}

void federation_put_metrics(const struct federation *federation, struct buf *out)
{
	if (list_is_empty(&federation->partners))
		return;
	for (unsigned metric = 0; metric < CONTROL_PARTNER_METRICS_NUM; metric++) {
		const struct metric_row *row = &control_partner_metrics[metric];
		struct partner_rows rows = {(enum control_partner_metric)metric, out};
		(void)!buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name,
			row->kind == METRIC_COUNTER ? "counter" : "gauge");
		federation_each(federation, put_row, &rows);
	}
}

static void put_trouble(void *arg, const struct federation_view *view)
{
	char text[700];
	if (view->trouble->err != ERR_NONE)
		(void)!buf_printf(arg, "degraded: federation: %s: %s\n", view->settings->domain.name,
			why_format(view->trouble, text, sizeof text)); /* those that fit are enough */
}

void federation_list_conditions(const struct federation *federation, struct buf *out)
{
	federation_each(federation, put_trouble, out);
}

/* --- commands --- */

static void on_finish(struct loop_task *task)
{
	struct partner *partner = container_of(task, struct partner, finish);
	struct why why = partner->result;
	partner_report(partner, why.err, &why);
}

static void finish(struct partner *partner, const struct why *why)
{
	partner->result = *why;
	loop_task_post(partner->loop, &partner->finish, on_finish);
}

/* The partner whose command it becomes. */
static enum err begin(const struct federation *federation, struct span trust_domain, federation_done_fn *on_done,
	void *arg, struct partner **out, struct why *why)
{
	struct partner *partner = federation_find(federation, trust_domain);
	if (partner == NULL)
		return why_set(why, ERR_NOT_FOUND, "a trust domain of federation.partners",
			"see `handfast federation list`, or add the partner to the settings",
			"no partner has this trust domain");
	if (partner->on_done != NULL)
		return why_set(why, ERR_EXISTS, "one command at a time", "try again",
			"another command for %s is under way", partner->settings.domain.name);
	partner->on_done = on_done;
	partner->done_arg = arg;
	*out = partner;
	return ERR_NONE;
}

enum err federation_refresh(struct federation *federation, struct span trust_domain, bool any_sequence,
	federation_done_fn *on_done, void *arg, struct why *why)
{
	struct partner *partner = NULL;
	RETURN_IF_ERR(begin(federation, trust_domain, on_done, arg, &partner, why));
	CHECK(partner != NULL);
	partner->takes_any_sequence = any_sequence;
	loop_timer_start(partner->loop, &partner->next, 0, partner_on_next); /* not within this call */
	return ERR_NONE;
}

enum err federation_import(struct federation *federation, struct span trust_domain, struct span jwks,
	federation_done_fn *on_done, void *arg, struct why *why)
{
	struct partner *partner = NULL;
	struct why own = {0};
	RETURN_IF_ERR(begin(federation, trust_domain, NULL, arg, &partner, why));
	CHECK(partner != NULL);
	bool is_saved = partner_take(partner, jwks, true, &own) == ERR_NONE && partner->saving != NULL;
	partner->on_done = on_done;
	partner->imports = true;
	if (!is_saved)
		finish(partner, &own);
	return ERR_NONE;
}
