/* What of the interception rules this network namespace shows without a capability: handfast-init adds addresses to lo,
 * and in mode tproxy a routing rule. Conditions report rules that are missing, that lead nowhere, or that are of
 * another mode than the settings. */
#include "sidecar/sidecar_private.h"

#include "base/core/log.h"
#include "base/net/source_mark.h"
#include "sidecar/process.h"
#include "sidecar/report/pages.h"
#include <sys/socket.h>

#define COMPONENT "sidecar"

enum { POLL_MS = 5000 };

/* In Kubernetes rules belong to every pod. handfast-init adds the addresses after the rules, so that without them there
 * are none: the pod's network was made before handfast-cni was on its node (decision 050). */
void sidecar_rules_note(struct sidecar *sidecar)
{
	struct app_sources sources = process_app_sources();
	sidecar_rules_poll(sidecar);
	if (sidecar->config->interception == INTERCEPTION_NONE) {
		sidecar->has_useless_rules = sources.v4.family != 0;
		return;
	}
	sidecar->lacks_rules = sources.v4.family == 0 && sidecar->config->kubernetes_token_file != NULL;
	if (sources.v4.family == 0)
		log_warning(COMPONENT, "169.254.15.6 is not on lo: inbound connections reach the workload from another "
				       "local address (`handfast-init up` adds it)");
	if (sources.v6.family == 0 && process_has_ipv6())
		log_warning(COMPONENT,
			"100::6 is not on lo: inbound connections over IPv6 reach the workload from another local "
			"address (`handfast-init up` adds it)");
}

/* --- the mode --- */

static const struct {
	const char *detail, *fix;
	bool is_failure; /* no connection reaches the workload */
} MISMATCHES[NUM_RULES_MISMATCHES] = {
	[RULES_LACK_SOURCE_ROUTE] =
		{"interception is tproxy, and the rules are not of that mode: the workload's answers "
		 "to connections in their callers' names do not come back",
			"run 'handfast-init up --mode tproxy', or set interception to redirect", true},
	[RULES_KEEP_SOURCE] =
		{"interception is redirect, and the rules are those of the mode tproxy: the workload does "
		 "not see its callers' addresses",
			"set interception to tproxy, with CAP_NET_RAW for the sidecar, or run 'handfast-init up --mode "
			"redirect'",
			false},
};

/* Where the kernel gives no answer, there is nothing to report. */
static enum rules_mismatch mismatch_of(const struct sidecar *sidecar)
{
	bool is_routed, wants_route = sidecar->config->interception == INTERCEPTION_TPROXY;
	if (sidecar->config->interception == INTERCEPTION_NONE ||
		source_mark_is_routed(AF_INET, &is_routed) != ERR_NONE || is_routed == wants_route)
		return RULES_MATCH;
	return wants_route ? RULES_LACK_SOURCE_ROUTE : RULES_KEEP_SOURCE;
}

void sidecar_rules_poll(struct sidecar *sidecar)
{
	uint64_t now_ms = loop_now_ms(sidecar->loop);
	enum rules_mismatch before = sidecar->rules_mismatch;
	if (now_ms < sidecar->next_rules_ms)
		return;
	sidecar->next_rules_ms = now_ms + POLL_MS;
	sidecar->rules_mismatch = mismatch_of(sidecar);
	if (sidecar->rules_mismatch == before)
		return;
	if (sidecar->rules_mismatch == RULES_MATCH)
		log_notice(COMPONENT, "the interception rules are of the mode that interception has");
	else
		log_warning(COMPONENT, "%s: %s", MISMATCHES[sidecar->rules_mismatch].detail,
			MISMATCHES[sidecar->rules_mismatch].fix);
}

bool sidecar_rules_condition(const struct sidecar *sidecar, struct page_condition *out)
{
	if (sidecar->rules_mismatch == RULES_MATCH)
		return false;
	*out = (struct page_condition){"interception rules of another mode",
		MISMATCHES[sidecar->rules_mismatch].is_failure ? PAGE_FAILED : PAGE_DEGRADED,
		MISMATCHES[sidecar->rules_mismatch].detail, MISMATCHES[sidecar->rules_mismatch].fix};
	return true;
}
