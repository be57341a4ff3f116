/* /policy: the policy in force. With ?from=ID|plaintext&port=N&address=IP also its decision, by the code that decides
 * for connections. */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/number.h"
#include "policy/findings.h"
#include "policy/policy_json.h"
#include "sidecar/report/dry_runs.h"
#include "sidecar/report/pages.h"
#include "sidecar/sidecar_private.h"
#include <string.h>

enum { WARNINGS_MAX = 8 };

struct asked { /* zeroed is valid to asked_done() */
	struct spiffe_id from;
	struct policy_source source;
	uint16_t port;
};

static void asked_done(struct asked *asked)
{
	spiffe_id_done(&asked->from);
}

/* The value of `key` in a query whose values need no escapes; empty: none. */
static struct span value_of(const char *query, const char *key)
{
	size_t len = strlen(key);
	for (const char *at = query; *at != '\0'; at += strcspn(at, "&"), at += *at == '&')
		if (strncmp(at, key, len) == 0 && at[len] == '=')
			return span_of(at + len + 1, strcspn(at + len + 1, "&"));
	return SPAN_LITERAL("");
}

static bool asked_parse(const char *query, struct asked *out)
{
	struct span from = value_of(query, "from"), address = value_of(query, "address");
	bool is_plaintext = span_eq(from, SPAN_LITERAL("plaintext"));
	if (port_parse(value_of(query, "port"), &out->port) != ERR_NONE)
		return false;
	if (address.len > 0 && ip_addr_parse(address, &out->source.ip) != ERR_NONE)
		return false;
	if (!is_plaintext && spiffe_id_parse(from, &out->from, NULL) != ERR_NONE)
		return false;
	out->source.id = is_plaintext ? NULL : &out->from;
	return true;
}

static void put_decision(json_t *page, const struct policy *policy, const struct asked *asked)
{
	struct policy_explanation explanation;
	const char *rule = policy_needs_address(policy, &asked->source, asked->port);
	if (rule != NULL) {
		json_object_set_new(page, "needs_address", page_text(rule));
		return;
	}
	policy_explain(policy, &asked->source, asked->port, &explanation);
	json_object_set_new(page, "decision", policy_explanation_json(&explanation, &asked->source, asked->port));
}

/* --- warnings --- */

/* A trust domain with roots here is ours or a federated one. Without an identity they are not known yet. */
static bool is_federated(void *arg, struct span trust_domain)
{
	const struct credentials *credentials = arg;
	return credentials == NULL || bundle_set_find(credentials_bundles(credentials), trust_domain) != NULL;
}

static void on_finding(void *arg, const struct policy_finding *finding)
{
	json_t *list = arg;
	if (json_array_size(list) >= WARNINGS_MAX)
		return;
	json_array_append_new(list, page_text(finding->detail.got));
	log_why(LOG_LEVEL_WARNING, "policy", "a policy has been received", &finding->detail);
}

void sidecar_review_policy(struct sidecar *sidecar)
{
	struct identity_status status;
	sidecar_identity_status(sidecar, &status);
	const struct policy_world world = {.is_federated = is_federated, .arg = status.credentials};
	json_decref(sidecar->policy_warnings);
	sidecar->policy_warnings = json_array();
	policy_findings(sidecar->policy, &world, on_finding, sidecar->policy_warnings);
}

/* --- dry runs --- */

static json_t *dry_run_json(struct sidecar *sidecar, const char *rule)
{
	struct dry_run_counts counts;
	dry_runs_get(sidecar->dry_runs, rule, &counts);
	json_t *row = json_pack("{s:o, s:I, s:I, s:I}", "rule", page_text(rule), "denied", (json_int_t)counts.denied,
		"open", (json_int_t)counts.open, "allowed", (json_int_t)counts.allowed);
	if (counts.last_wall_ms != 0)
		json_object_set_new(row, "last",
			json_pack("{s:o, s:o, s:o, s:i}", "time", page_time_ms(counts.last_wall_ms), "from",
				page_text(counts.last_id), "source", page_addr(&counts.last_source), "port",
				(int)counts.last_port));
	mem_free(counts.last_id);
	return row;
}

/* Each dry-run rule of the policy, also those that have counted nothing; and the default, which a dry-run allow rule
 * would replace. */
static json_t *dry_runs_json(struct sidecar *sidecar)
{
	const struct policy *policy = sidecar->policy;
	json_t *list = json_array();
	bool has_allow = false;
	for (size_t i = 0; i < policy->num_rules; i++) {
		if (!policy->rules[i].dry_run)
			continue;
		json_array_append_new(list, dry_run_json(sidecar, policy->rules[i].name));
		has_allow |= !policy->rules[i].deny;
	}
	if (has_allow)
		json_array_append_new(list, dry_run_json(sidecar, "default"));
	return list;
}

void sidecar_on_policy(void *arg, struct http_request *request)
{
	struct sidecar *sidecar = arg;
	const char *query = http_request_query(request);
	_cleanup_(asked_done) struct asked asked = {0};
	bool is_asked = query[0] != '\0';
	if (is_asked && !asked_parse(query, &asked)) {
		http_answer(request, 400, HTTP_TEXT,
			SPAN_LITERAL("expected: ?from=spiffe://TD/PATH&port=80, or from=plaintext; and &address=IP\n"));
		return;
	}
	json_t *page =
		json_pack("{s:o}", "policy", sidecar->policy == NULL ? json_null() : policy_json(sidecar->policy));
	if (sidecar->policy != NULL) {
		json_object_set_new(page, "dry_runs", dry_runs_json(sidecar));
		json_object_set_new(page, "num_dry_runs_forgotten",
			json_integer((json_int_t)dry_runs_num_forgotten(sidecar->dry_runs)));
	}
	if (sidecar->policy_warnings != NULL)
		json_object_set(page, "warnings", sidecar->policy_warnings);
	if (is_asked && sidecar->policy != NULL)
		put_decision(page, sidecar->policy, &asked);
	admin_answer_json(request, page);
}
