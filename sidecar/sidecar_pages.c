#include "sidecar/sidecar_private.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "sidecar/process.h"
#include "sidecar/report/pages.h"
#include "sidecar/sidecar_conditions.h"
#include <stdio.h>

enum { GAUGES_MS = 1000, CERTIFICATES_MAX = 1 << 20, START_WAIT_MS = 10000 };

static bool is_strict(const void *arg, uint16_t port)
{
	return sidecar_port_is_strict(arg, port);
}

static void on_check(void *arg, struct http_request *request)
{
	struct sidecar *sidecar = arg;
	struct sidecar_conditions conditions;
	sidecar_conditions_collect(sidecar, &conditions);
	json_t *page = page_check(conditions.list, conditions.num, sidecar->port_use, is_strict, sidecar);
	if (sidecar->policy_warnings != NULL)
		json_object_set(page, "policy_warnings", sidecar->policy_warnings);
	_cleanup_(json_decrefp) json_t *formers = sidecar_formers_page(sidecar);
	if (json_array_size(formers) > 0)
		json_object_set(page, "former_processes", formers);
	admin_answer_json(request, page);
}

static const char *first_failed(const struct sidecar_conditions *conditions)
{
	for (size_t i = 0; i < conditions->num; i++)
		if (conditions->list[i].level == PAGE_FAILED)
			return conditions->list[i].name;
	return "not ready";
}

/* The first line is the result; further lines name the conditions, also those that leave the sidecar ready. */
static void on_ready(void *arg, struct http_request *request)
{
	struct sidecar *sidecar = arg;
	struct sidecar_conditions conditions;
	sidecar_conditions_collect(sidecar, &conditions);
	bool is_ready = page_is_ready(conditions.list, conditions.num);
	_cleanup_(buf_done) struct buf text = BUF_INIT(4096);
	enum err full = buf_append_str(&text, is_ready ? "ready" : first_failed(&conditions));
	for (size_t i = 0; i < conditions.num && full == ERR_NONE; i++) {
		const struct page_condition *one = &conditions.list[i];
		if (one->detail != NULL || one->level == PAGE_DEGRADED)
			full = buf_printf(&text, "\n%s: %s%s%s", one->level == PAGE_FAILED ? "failed" : "degraded",
				one->name, one->detail == NULL ? "" : ": ", one->detail == NULL ? "" : one->detail);
	}
	admin_answer_probe(request, is_ready, buf_cstr(&text));
}

/* Whether the workload may start: `handfast-sidecar wait --started` asks. The listeners are open, for the page is
 * served; connections are parked until there is an identity. For that the workload waits a moment, but no outage of the
 * control plane keeps it from starting. Without rules it would connect in plaintext, so it does not start (decision
 * 055). */
static void on_started(void *arg, struct http_request *request)
{
	struct sidecar *sidecar = arg;
	struct sidecar_conditions conditions;
	sidecar_conditions_collect(sidecar, &conditions);
	bool is_late = loop_now_ms(sidecar->loop) - sidecar->made_ms >= START_WAIT_MS;
	bool is_started = page_is_ready(conditions.list, conditions.num) || (is_late && !sidecar_rules_lack(sidecar));
	admin_answer_probe(request, is_started, is_started ? "started" : first_failed(&conditions));
}

/* The same without waiting for an identity, which kubelet would keep from coming: it reports no address of a pod while
 * the hook of its first container runs. */
static void on_listening(void *arg, struct http_request *request)
{
	const struct sidecar *sidecar = arg;
	bool lacks_rules = sidecar_rules_lack(sidecar);
	admin_answer_probe(request, !lacks_rules, lacks_rules ? "no rules" : "listening");
}

/* --- the other pages --- */

/* The address claims of this sidecar as the control plane answered them: one per family. */
static json_t *claims_json(const struct identity_status *status)
{
	json_t *list = json_array();
	char address[ADDR_TEXT_MAX];
	for (size_t i = 0; i < 2; i++)
		if (status->claims[i].ip.family != 0)
			json_array_append_new(list, json_pack("{s:o, s:b}", "address",
							    page_text(ip_addr_format(&status->claims[i].ip, address)),
							    "held", status->claims[i].is_held));
	return list;
}

static void on_certs(void *arg, struct http_request *request)
{
	struct sidecar *sidecar = arg;
	struct identity_status status;
	sidecar_identity_status(sidecar, &status);
	json_t *page = page_certs(status.credentials, trusted_time_now_s(&sidecar->time, loop_clock(sidecar->loop)));
	json_object_set_new(page, "addresses", claims_json(&status));
	admin_answer_json(request, page);
}

static void on_why(void *arg, struct http_request *request)
{
	struct sidecar *sidecar = arg;
	admin_answer_json(request, page_why(sidecar->failures));
}

static void on_connections(void *arg, struct http_request *request)
{
	struct sidecar *sidecar = arg;
	if (strcmp(http_request_query(request), "by=source") == 0)
		worker_page_sources(request, sidecar->workers, sidecar->num_workers, sidecar->loop);
	else
		worker_page_connections(request, sidecar->workers, sidecar->num_workers, sidecar->loop);
}

static void on_tunnels(void *arg, struct http_request *request)
{
	struct sidecar *sidecar = arg;
	worker_page_tunnels(request, sidecar->workers, sidecar->num_workers, sidecar->loop);
}

static void set_conditions(const struct sidecar *sidecar, struct metric_shard *shard)
{
	struct sidecar_conditions conditions;
	sidecar_conditions_collect(sidecar, &conditions);
	for (unsigned metric = SIDECAR_CONDITION_FIRST; metric <= SIDECAR_CONDITION_LAST; metric++)
		metric_set(shard, metric, 0);
	for (size_t i = 0; i < conditions.num; i++)
		metric_set(shard, conditions.metrics[i], 1);
	metric_set(shard, METRIC_READY, page_is_ready(conditions.list, conditions.num));
}

/* Metrics that are read only when /metrics is requested. */
static void set_on_scrape(struct sidecar *sidecar)
{
	struct metric_shard *shard = sidecar_shard(sidecar);
	metric_set(shard, METRIC_ACCESS_LOG_LOST, (int64_t)access_log_num_lost(sidecar->access_log));
	metric_set(shard, METRIC_ACCESS_LOG_SUPPRESSED, (int64_t)access_log_num_suppressed(sidecar->access_log));
	metric_set(shard, METRIC_LOG_LOST, (int64_t)log_num_lost());
	set_conditions(sidecar, shard);
	metric_set(shard, METRIC_BUILD_INFO, 1);
	metric_set(shard, METRIC_PROCESS_CPU, process_cpu_ms());
	metric_set(shard, METRIC_PROCESS_RESIDENT, process_resident_bytes(&sidecar->facts));
	metric_set(shard, METRIC_PROCESS_FDS, process_open_descriptors(&sidecar->facts));
	metric_set(shard, METRIC_PROCESS_FDS_MAX, process_max_descriptors());
	metric_set(shard, METRIC_PROCESS_START, sidecar->facts.start_wall_s);
}

static void on_metrics(void *arg, struct http_request *request)
{
	struct sidecar *sidecar = arg;
	_cleanup_(buf_done) struct buf certificates = BUF_INIT(CERTIFICATES_MAX);
	set_on_scrape(sidecar);
	if (sidecar_put_certificates(sidecar, &certificates) != ERR_NONE)
		buf_clear(&certificates); /* more than any trust state has */
	admin_answer_metrics(request, sidecar->metrics, buf_span(&certificates));
}

static void on_config(void *arg, struct http_request *request)
{
	admin_answer_json(request, sidecar_config_page(arg));
}

struct admin_pages sidecar_pages(struct sidecar *sidecar)
{
	return (struct admin_pages){
		.certs = on_certs,
		.config = on_config,
		.connections = on_connections,
		.tunnels = on_tunnels,
		.endpoints = sidecar_on_endpoints,
		.failures = on_why,
		.check = on_check,
		.policy = sidecar_on_policy,
		.metrics = on_metrics,
		.ready = on_ready,
		.started = on_started,
		.listening = on_listening,
		.probe = sidecar_on_probe,
		.arg = sidecar,
	};
}

/* --- gauges, once per second --- */

static void on_gauge_totals(void *arg, const struct worker_totals *totals)
{
	struct sidecar *sidecar = arg;
	struct metric_shard *shard = sidecar_shard(sidecar);
	metric_set(shard, METRIC_IDENTITY_OLDEST, totals->oldest_identity_s);
	uint64_t num_displaced = admin_num_displaced(sidecar->admin);
	CHECK(num_displaced >= sidecar->num_displaced && totals->num_refused >= sidecar->num_refused);
	metric_add(shard, METRIC_LIMIT_PAGES, (int64_t)(num_displaced - sidecar->num_displaced));
	sidecar->num_displaced = num_displaced;
	metric_add(shard, METRIC_LISTENER_REFUSED, (int64_t)(totals->num_refused - sidecar->num_refused));
	sidecar->num_refused = totals->num_refused;
	metric_set(shard, METRIC_EJECTED, (int64_t)totals->num_ejected);
	for (unsigned kind = 0; kind < NUM_CONN_KINDS; kind++) {
		sidecar->num_full[kind] = totals->num_full[kind];
		metric_set(shard, METRIC_FULL_OUTBOUND + kind, totals->num_full[kind]);
	}
}

/* Some seconds after the policy has come, when the handshakes that claim addresses are over too. */
static void forget_start(struct sidecar *sidecar)
{
	enum { START_POLLS = 5 };
	if (sidecar->policy == NULL || sidecar->num_polls_with_policy > START_POLLS)
		return;
	if (++sidecar->num_polls_with_policy > START_POLLS)
		process_forget_start();
}

static void set_gauges(struct loop_timer *timer)
{
	struct sidecar *sidecar = container_of(timer, struct sidecar, gauges);
	struct metric_shard *shard = sidecar_shard(sidecar);
	struct identity_status status;
	sidecar_identity_status(sidecar, &status);
	metric_set(shard, METRIC_IDENTITY_EXPIRY,
		status.credentials == NULL ? 0 : credentials_until_s(status.credentials));
	metric_set(shard, METRIC_CONTROL_CONNECTED, status.is_connected);
	sidecar_families_poll(sidecar);
	sidecar_rules_poll(sidecar);
	access_log_sweep(sidecar->access_log, loop_now_ms(sidecar->loop));
	sidecar_root_expiry_poll(sidecar);
	sidecar_clock_poll(sidecar);
	sidecar_renewal_poll(sidecar);
	sidecar_kept_poll(sidecar);
	sidecar_revocation_lists_poll(sidecar);
	sidecar_peers_poll(sidecar);
	sidecar_health_poll(sidecar);
	worker_gather_totals(sidecar->workers, sidecar->num_workers, sidecar->loop, on_gauge_totals, sidecar);
	forget_start(sidecar);
	loop_timer_start(sidecar->loop, &sidecar->gauges, GAUGES_MS, set_gauges);
}

void sidecar_gauges_start(struct sidecar *sidecar)
{
	loop_timer_start(sidecar->loop, &sidecar->gauges, GAUGES_MS, set_gauges);
}
