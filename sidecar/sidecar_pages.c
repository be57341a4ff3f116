#include "sidecar/sidecar_private.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "sidecar/process.h"
#include "sidecar/report/pages.h"
#include <stdio.h>

enum { CONDITIONS_MAX = 32, GAUGES_MS = 1000, CERTIFICATES_MAX = 1 << 20, START_WAIT_MS = 10000 };

/* --- conditions: what makes the sidecar not ready or degraded --- */

/* Their rows of metrics.def stand together. */
#define METRIC_CONDITION_FIRST METRIC_CONDITION_NO_IDENTITY
#define METRIC_CONDITION_LAST  METRIC_CONDITION_DRAINING

struct conditions {
	struct page_condition list[CONDITIONS_MAX];
	enum sidecar_metric metrics[CONDITIONS_MAX]; /* of each, the row that shows it */
	size_t num;
	char last_failure[700], source_failure[700], no_policy[700], refused[2][700], not_kept[700], banned[700],
		retained[SIDECAR_RETAINED_MAX];
};

static void add(struct conditions *to, enum sidecar_metric metric, const char *name, enum page_level level,
	const char *detail, const char *fix)
{
	CHECK(to->num < CONDITIONS_MAX && metric >= METRIC_CONDITION_FIRST && metric <= METRIC_CONDITION_LAST);
	to->metrics[to->num] = metric;
	to->list[to->num++] = (struct page_condition){name, level, detail, fix};
}

/* Plaintext sources can fill no more than the share of plaintext, which does not make the sidecar fail its readiness;
 * no room for the other kinds does. */
static void add_room(const struct sidecar *sidecar, struct conditions *out)
{
	static const char fix[] = "inspect /connections; raise limits.max_connections and the descriptor limit";
	if (sidecar->num_full[CONN_OUTBOUND] > 0)
		add(out, METRIC_CONDITION_NO_OUTBOUND_ROOM, "no room for outbound connections", PAGE_FAILED, NULL, fix);
	if (sidecar->num_full[CONN_INBOUND] > 0)
		add(out, METRIC_CONDITION_NO_INBOUND_ROOM, "no room for inbound streams", PAGE_FAILED, NULL, fix);
	if (sidecar->num_full[CONN_INBOUND_PLAIN] > 0)
		add(out, METRIC_CONDITION_NO_PLAINTEXT_ROOM, "no room for plaintext connections", PAGE_DEGRADED, NULL,
			"find the sources with most connections on /connections; make the ports strict");
}

/* The reason why no policy has arrived: the last failure of discovery, if there is one. */
static const char *discovery_failure(const struct sidecar *sidecar, const char *otherwise, char text[700])
{
	const struct why *why = discovery_client_last_failure(sidecar->discovery);
	return why->err == ERR_NONE ? otherwise : why_format(why, text, 700);
}

/* A state folder that cannot be written stops nothing; after a restart it would. */
static void add_not_kept(const struct sidecar *sidecar, struct conditions *out)
{
	const struct why *why = &sidecar->destinations.failure;
	if (sidecar->identity != NULL && identity_client_kept_failure(sidecar->identity)->err != ERR_NONE)
		why = identity_client_kept_failure(sidecar->identity);
	if (why->err != ERR_NONE)
		add(out, METRIC_CONDITION_NOT_KEPT, "not kept for a restart", PAGE_DEGRADED,
			why_format(why, out->not_kept, sizeof(out->not_kept)),
			"let the sidecar write its state_dir; it tries again by itself");
}

/* What the mesh's roots, services, lists and networks are. */
static void add_mesh(const struct sidecar *sidecar, struct conditions *out)
{
	const struct {
		const char *detail, *name, *fix;
		enum sidecar_metric metric;
	} rows[] = {
		{sidecar->root_detail, "the mesh root expires soon", SIDECAR_ROOT_FIX, METRIC_CONDITION_ROOT_ENDS},
		{sidecar->clock_detail, "the clock differs from the control plane's", SIDECAR_CLOCK_FIX,
			METRIC_CONDITION_CLOCK_DIFFERS},
		{sidecar->service_detail, "a listener's service is not known", SIDECAR_SERVICE_FIX,
			METRIC_CONDITION_SERVICE_UNKNOWN},
		{sidecar->lists_detail, "revocation lists", SIDECAR_LISTS_FIX, METRIC_CONDITION_REVOCATION_LISTS},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].detail[0] != '\0')
			add(out, rows[i].metric, rows[i].name, PAGE_DEGRADED, rows[i].detail, rows[i].fix);
	for (size_t i = 0; i < SIDECAR_FAMILIES; i++)
		if (sidecar->families[i].is_outside)
			add(out, METRIC_CONDITION_FAMILY_OUTSIDE, sidecar->families[i].name, PAGE_DEGRADED,
				sidecar->families[i].detail, SIDECAR_FAMILY_FIX);
}

/* Its peers refuse it, whatever it can still do; the control plane does too. */
static void add_ban(const struct identity_status *status, struct conditions *out)
{
	if (status->credentials == NULL)
		snprintf(out->banned, sizeof(out->banned), "the control plane refuses it, and gives it no certificate");
	else
		snprintf(out->banned, sizeof(out->banned),
			"%.600s: peers refuse its connections, and it gets no further certificate",
			credentials_id(status->credentials)->text);
	add(out, METRIC_CONDITION_BANNED, "the identity is banned", PAGE_FAILED, out->banned,
		"find out why it was banned; if it may come back: handfast unban, at the control plane");
}

/* An unreachable control plane alone does not make the sidecar not ready: its outage must not stop the workloads.
 * Returns the last failure; NULL: none. */
static const char *add_identity(const struct identity_status *status, struct conditions *out)
{
	if (status->last_failure.err == ERR_NONE)
		out->last_failure[0] = '\0';
	else
		(void)why_format(&status->last_failure, out->last_failure, sizeof(out->last_failure));
	const char *failure = out->last_failure[0] == '\0' ? NULL : out->last_failure;
	if (!status->is_valid && status->credentials == NULL)
		add(out, METRIC_CONDITION_NO_IDENTITY, "no identity yet", PAGE_FAILED, failure,
			"list the recent failures: handfast why");
	else if (!status->is_valid)
		add(out, METRIC_CONDITION_IDENTITY_EXPIRED, "the identity has expired", PAGE_FAILED, failure,
			"list the recent failures: handfast why");
	else if (!status->is_connected && !status->is_banned)
		add(out, METRIC_CONDITION_CONTROL_UNREACHABLE, "control plane unreachable", PAGE_DEGRADED, failure,
			"see the detail, and list the recent failures: handfast why");
	if (status->is_banned)
		add_ban(status, out);
	if (sidecar_retained_text(&status->retained, out->retained))
		add(out, METRIC_CONDITION_BANS_RETAINED, "bans that the control plane lacks", PAGE_DEGRADED,
			out->retained, SIDECAR_RETAINED_FIX);
	return failure;
}

static void collect_conditions(const struct sidecar *sidecar, struct conditions *out)
{
	struct identity_status status;
	sidecar_identity_status(sidecar, &status);
	out->num = 0;
	const char *failure = add_identity(&status, out);
	const struct why *source = sidecar_identity_source_failure(sidecar);
	if (status.is_valid && source->err != ERR_NONE)
		add(out, METRIC_CONDITION_IDENTITY_SOURCE, sidecar_identity_source_condition(sidecar), PAGE_DEGRADED,
			why_format(source, out->source_failure, sizeof(out->source_failure)),
			"the identity in use stays until it expires: list the recent failures: handfast why");
	if (sidecar->policy == NULL)
		add(out, METRIC_CONDITION_NO_POLICY, "no policy yet", PAGE_FAILED,
			discovery_failure(sidecar, failure, out->no_policy),
			"connections are parked until the policy arrives: list the recent failures: handfast why");
	struct page_condition of_rules;
	if (sidecar_rules_absence(sidecar, &of_rules))
		add(out, METRIC_CONDITION_NO_RULES, of_rules.name, of_rules.level, of_rules.detail, of_rules.fix);
	if (sidecar->has_useless_rules)
		add(out, METRIC_CONDITION_USELESS_RULES, "interception rules that lead nowhere", PAGE_DEGRADED,
			"169.254.15.6 is on lo: rules redirect the workload's connections, and interception is none",
			"run 'handfast-init down', or set interception to redirect");
	if (sidecar_rules_condition(sidecar, &of_rules))
		add(out, METRIC_CONDITION_RULES_MODE, of_rules.name, of_rules.level, of_rules.detail, of_rules.fix);
	add_room(sidecar, out);
	if (sidecar->late_detail[0] != '\0')
		add(out, METRIC_CONDITION_RENEWAL_LATE, "the renewal is late", PAGE_DEGRADED, sidecar->late_detail,
			"list the recent failures: handfast why");
	add_mesh(sidecar, out);
	add_not_kept(sidecar, out);
	if (sidecar->is_draining)
		add(out, METRIC_CONDITION_DRAINING, "draining", PAGE_FAILED, NULL, NULL);
	for (size_t i = 0; i < 2; i++)
		if (status.claims[i].detail.err != ERR_NONE)
			add(out, METRIC_CONDITION_CLAIM_REFUSED, "address claim refused", PAGE_DEGRADED,
				why_format(&status.claims[i].detail, out->refused[i], sizeof(out->refused[i])),
				"the sidecar repeats the claim");
}

static bool is_strict(const void *arg, uint16_t port)
{
	return sidecar_port_is_strict(arg, port);
}

static void on_check(void *arg, struct http_request *request)
{
	struct sidecar *sidecar = arg;
	struct conditions conditions;
	collect_conditions(sidecar, &conditions);
	json_t *page = page_check(conditions.list, conditions.num, sidecar->port_use, is_strict, sidecar);
	if (sidecar->policy_warnings != NULL)
		json_object_set(page, "policy_warnings", sidecar->policy_warnings);
	_cleanup_(json_decrefp) json_t *formers = sidecar_formers_page(sidecar);
	if (json_array_size(formers) > 0)
		json_object_set(page, "former_processes", formers);
	admin_answer_json(request, 200, page);
}

static const char *first_failed(const struct conditions *conditions)
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
	struct conditions conditions;
	collect_conditions(sidecar, &conditions);
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
	struct conditions conditions;
	collect_conditions(sidecar, &conditions);
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
	admin_answer_json(request, 200, page);
}

static void on_why(void *arg, struct http_request *request)
{
	struct sidecar *sidecar = arg;
	admin_answer_json(request, 200, page_why(sidecar->failures));
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
	struct conditions conditions;
	collect_conditions(sidecar, &conditions);
	for (unsigned metric = METRIC_CONDITION_FIRST; metric <= METRIC_CONDITION_LAST; metric++)
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
	admin_answer_json(request, 200, sidecar_config_page(arg));
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
	sidecar_root_poll(sidecar);
	sidecar_clock_poll(sidecar);
	sidecar_renewal_poll(sidecar);
	sidecar_kept_poll(sidecar);
	sidecar_lists_poll(sidecar);
	sidecar_peers_poll(sidecar);
	worker_gather_totals(sidecar->workers, sidecar->num_workers, sidecar->loop, on_gauge_totals, sidecar);
	forget_start(sidecar);
	loop_timer_start(sidecar->loop, &sidecar->gauges, GAUGES_MS, set_gauges);
}

void sidecar_gauges_start(struct sidecar *sidecar)
{
	loop_timer_start(sidecar->loop, &sidecar->gauges, GAUGES_MS, set_gauges);
}
