#include "sidecar/sidecar_conditions.h"

#include "base/core/check.h"
#include <stdio.h>

static void add(struct sidecar_conditions *to, enum sidecar_metric metric, const char *name, enum page_level level,
	const char *detail, const char *fix)
{
	CHECK(to->num < SIDECAR_CONDITIONS_MAX && metric >= SIDECAR_CONDITION_FIRST &&
		metric <= SIDECAR_CONDITION_LAST);
	to->metrics[to->num] = metric;
	to->list[to->num++] = (struct page_condition){name, level, detail, fix};
}

/* Plaintext sources can fill no more than the share of plaintext, which does not make the sidecar fail its readiness;
 * no room for the other kinds does. */
static void add_room(const struct sidecar *sidecar, struct sidecar_conditions *out)
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
static void add_not_kept(const struct sidecar *sidecar, struct sidecar_conditions *out)
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
static void add_mesh(const struct sidecar *sidecar, struct sidecar_conditions *out)
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
static void add_ban(const struct identity_status *status, struct sidecar_conditions *out)
{
	if (status->credentials == NULL)
		snprintf(out->banned, sizeof(out->banned), "the control plane refuses it, and gives it no certificate");
	else
		snprintf(out->banned, sizeof(out->banned),
			"%.600s: peers refuse its connections, and it gets no further certificate",
			credentials_id(status->credentials)->text);
	add(out, METRIC_CONDITION_BANNED, "the identity is banned", PAGE_FAILED, out->banned,
		"find out why it was banned; if it may come back: `handfast unban`, at the control plane");
}

/* Not a failure: an entry of the operator's may lead here all the same, and the workload's own connections work. */
static void add_claims(const struct identity_status *status, struct sidecar_conditions *out)
{
	if (status->is_released)
		add(out, METRIC_CONDITION_CLAIM_RELEASED, "addresses released", PAGE_DEGRADED,
			SIDECAR_RELEASED_GOT "; expected: " SIDECAR_RELEASED_EXPECTED, SIDECAR_RELEASED_FIX);
	for (size_t i = 0; i < 2; i++)
		if (status->claims[i].detail.err != ERR_NONE)
			add(out, METRIC_CONDITION_CLAIM_REFUSED, "address claim refused", PAGE_DEGRADED,
				why_format(&status->claims[i].detail, out->refused[i], sizeof(out->refused[i])),
				"the sidecar repeats the claim");
}

/* An unreachable control plane alone does not make the sidecar not ready: its outage must not stop the workloads.
 * Returns the last failure; NULL: none. */
static const char *add_identity(const struct identity_status *status, struct sidecar_conditions *out)
{
	if (status->last_failure.err == ERR_NONE)
		out->last_failure[0] = '\0';
	else
		(void)why_format(&status->last_failure, out->last_failure, sizeof(out->last_failure));
	const char *failure = out->last_failure[0] == '\0' ? NULL : out->last_failure;
	if (!status->is_valid && status->credentials == NULL)
		add(out, METRIC_CONDITION_NO_IDENTITY, "no identity yet", PAGE_FAILED, failure,
			"list the recent failures: `handfast why`");
	else if (!status->is_valid)
		add(out, METRIC_CONDITION_IDENTITY_EXPIRED, "the identity has expired", PAGE_FAILED, failure,
			"list the recent failures: `handfast why`");
	else if (!status->is_connected && !status->is_banned)
		add(out, METRIC_CONDITION_CONTROL_UNREACHABLE, "control plane unreachable", PAGE_DEGRADED, failure,
			"see the detail, and list the recent failures: `handfast why`");
	if (status->is_banned)
		add_ban(status, out);
	if (sidecar_retained_text(&status->retained, out->retained))
		add(out, METRIC_CONDITION_BANS_RETAINED, "bans that the control plane lacks", PAGE_DEGRADED,
			out->retained, SIDECAR_RETAINED_FIX);
	return failure;
}

void sidecar_conditions_collect(const struct sidecar *sidecar, struct sidecar_conditions *out)
{
	struct identity_status status;
	sidecar_identity_status(sidecar, &status);
	out->num = 0;
	const char *failure = add_identity(&status, out);
	const struct why *source = sidecar_identity_source_failure(sidecar);
	if (status.is_valid && source->err != ERR_NONE)
		add(out, METRIC_CONDITION_IDENTITY_SOURCE, sidecar_identity_source_condition(sidecar), PAGE_DEGRADED,
			why_format(source, out->source_failure, sizeof(out->source_failure)),
			"the identity in use stays until it expires: list the recent failures: `handfast why`");
	if (sidecar->policy == NULL)
		add(out, METRIC_CONDITION_NO_POLICY, "no policy yet", PAGE_FAILED,
			discovery_failure(sidecar, failure, out->no_policy),
			"connections are parked until the policy arrives: list the recent failures: `handfast why`");
	struct page_condition of_rules;
	if (sidecar_rules_absence(sidecar, &of_rules))
		add(out, METRIC_CONDITION_NO_RULES, of_rules.name, of_rules.level, of_rules.detail, of_rules.fix);
	if (sidecar->has_useless_rules)
		add(out, METRIC_CONDITION_USELESS_RULES, "interception rules that lead nowhere", PAGE_DEGRADED,
			"169.254.15.6 is on lo: rules redirect the workload's connections, and interception is none",
			"run `handfast-init down`, or set interception to redirect");
	if (sidecar_rules_condition(sidecar, &of_rules))
		add(out, METRIC_CONDITION_RULES_MODE, of_rules.name, of_rules.level, of_rules.detail, of_rules.fix);
	add_room(sidecar, out);
	if (sidecar->late_detail[0] != '\0')
		add(out, METRIC_CONDITION_RENEWAL_LATE, "the renewal is late", PAGE_DEGRADED, sidecar->late_detail,
			"list the recent failures: `handfast why`");
	add_mesh(sidecar, out);
	add_not_kept(sidecar, out);
	if (sidecar->is_draining)
		add(out, METRIC_CONDITION_DRAINING, "draining", PAGE_FAILED, NULL, NULL);
	add_claims(&status, out);
}
