/* What of the interception rules this network namespace shows without a capability: handfast-init adds addresses to lo,
 * in mode tproxy a routing rule, and the rules prove themselves (rules_proof.h). Conditions report rules that are
 * missing, that were removed, that lead nowhere, or that are of another mode than the settings. */
#include "sidecar/sidecar_private.h"

#include "base/core/check.h"
#include "base/core/fixed_ports.h"
#include "base/core/log.h"
#include "base/net/rules_proof.h"
#include "base/net/source_mark.h"
#include "sidecar/process.h"
#include "sidecar/report/pages.h"
#include <sys/socket.h>

#define COMPONENT "sidecar"
#define ID        FIXED_TEXT(FIXED_ID)

enum { POLL_MS = 5000 };

/* handfast-init adds the addresses after the rules, so that without them there are none: in a pod, its network was made
 * before handfast-cni was on its node (decision 050). It stays so until the next start, since the workers take the
 * addresses at theirs. */
void sidecar_rules_note(struct sidecar *sidecar)
{
	struct app_sources sources = process_app_sources();
	if (sidecar->config->interception == INTERCEPTION_NONE) {
		sidecar->has_useless_rules = sources.v4.family != 0;
		return;
	}
	if (sources.v4.family == 0)
		sidecar->rules_presence = RULES_LACK_ADDRESS;
	sidecar_rules_poll(sidecar);
	if (sources.v4.family == 0)
		log_warning(COMPONENT, "169.254.15.6 is not on lo: inbound connections reach the workload from another "
				       "local address (`handfast-init up` adds it)");
	if (sources.v6.family == 0 && process_has_ipv6())
		log_warning(COMPONENT,
			"100::6 is not on lo: inbound connections over IPv6 reach the workload from another local "
			"address (`handfast-init up` adds it)");
}

/* --- whether they are there --- */

static const struct absence {
	const char *detail, *fix_of_pod, *fix_of_host;
} ABSENCES[NUM_RULES_PRESENCES] = {
	[RULES_LACK_ADDRESS] = {"169.254.15.6 is not on lo: nothing has written rules, so that plaintext goes past the "
				"sidecar, also to strict ports",
		"inspect the pod of handfast-cni on this node, then delete this pod: its successor gets rules",
		"run `systemctl reload-or-restart handfast-init`, or `handfast-init up`, then restart the sidecar"},
	[RULES_REMOVED] = {"the rules were removed, as by `nft flush ruleset` or `systemctl restart nftables`: "
			   "plaintext goes past the sidecar, also to strict ports",
		"find what flushes nftables in this pod, then delete the pod: its successor gets rules",
		"run `systemctl reload-or-restart handfast-init`, or `handfast-init up`"},
	[RULES_UNPROVEN] = {"169.254.15.6 is on lo, and the rules do not prove themselves: they were removed, or are "
			    "of "
			    "an older handfast-init",
		"upgrade the CNI plugin or the image of handfast-init, then delete this pod: its successor gets rules",
		"run `systemctl reload-or-restart handfast-init`, or `handfast-init up`"},
	[RULES_OF_FOREIGN_USER] = {"the sidecar does not run as uid " ID " with gid " ID
				   ", which the rules exempt: they "
				   "redirect to it what it opens itself",
		"set runAsUser and runAsGroup of its container to " ID ", as injection does",
		"run it as uid " ID " with gid " ID ", as the package's unit does"},
};

static enum rules_presence presence_of(struct sidecar *sidecar)
{
	if (sidecar->config->interception == INTERCEPTION_NONE || sidecar->rules_presence == RULES_LACK_ADDRESS)
		return sidecar->rules_presence;
	switch (rules_proof_ask()) {
	case RULES_PROOF_GIVEN:
		sidecar->were_rules_proven = true;
		return rules_proof_is_exempt() ? RULES_PRESENT : RULES_OF_FOREIGN_USER;
	case RULES_PROOF_MISSING:
		return sidecar->were_rules_proven ? RULES_REMOVED : RULES_UNPROVEN;
	case RULES_PROOF_UNKNOWN:
		return sidecar->rules_presence;
	}
	CHECK_UNREACHABLE();
}

static void poll_presence(struct sidecar *sidecar)
{
	enum rules_presence before = sidecar->rules_presence;
	struct page_condition absence;
	sidecar->rules_presence = presence_of(sidecar);
	if (sidecar->rules_presence == before)
		return;
	if (sidecar_rules_absence(sidecar, &absence))
		log_warning(COMPONENT, "%s: %s", absence.detail, absence.fix);
	else
		log_notice(COMPONENT, "the interception rules are there again");
}

bool sidecar_rules_lack(const struct sidecar *sidecar)
{
	return sidecar->rules_presence == RULES_LACK_ADDRESS || sidecar->rules_presence == RULES_REMOVED;
}

bool sidecar_rules_absence(const struct sidecar *sidecar, struct page_condition *out)
{
	const struct absence *absence = &ABSENCES[sidecar->rules_presence];
	if (sidecar->rules_presence == RULES_PRESENT)
		return false;
	bool is_pod = sidecar->config->kubernetes_token_file != NULL;
	*out = (struct page_condition){sidecar->rules_presence == RULES_OF_FOREIGN_USER
					       ? "the interception rules do not exempt the sidecar"
					       : "no interception rules",
		sidecar_rules_lack(sidecar) ? PAGE_FAILED : PAGE_DEGRADED, absence->detail,
		is_pod ? absence->fix_of_pod : absence->fix_of_host};
	return true;
}

/* --- the mode --- */

static const struct {
	const char *detail, *fix;
	bool is_failure; /* no connection reaches the workload */
} MISMATCHES[NUM_RULES_MISMATCHES] = {
	[RULES_LACK_SOURCE_ROUTE] =
		{"interception is tproxy, and the rules are not of that mode: the workload's answers "
		 "to connections in their callers' names do not come back",
			"run `handfast-init up --mode tproxy`, or set interception to redirect", true},
	[RULES_KEEP_SOURCE] =
		{"interception is redirect, and the rules are those of the mode tproxy: the workload does "
		 "not see its callers' addresses",
			"set interception to tproxy, with CAP_NET_RAW for the sidecar, or run `handfast-init up --mode "
			"redirect`",
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

static void poll_mode(struct sidecar *sidecar)
{
	enum rules_mismatch before = sidecar->rules_mismatch;
	sidecar->rules_mismatch = mismatch_of(sidecar);
	if (sidecar->rules_mismatch == before)
		return;
	if (sidecar->rules_mismatch == RULES_MATCH)
		log_notice(COMPONENT, "the interception rules are of the mode that interception has");
	else
		log_warning(COMPONENT, "%s: %s", MISMATCHES[sidecar->rules_mismatch].detail,
			MISMATCHES[sidecar->rules_mismatch].fix);
}

void sidecar_rules_poll(struct sidecar *sidecar)
{
	uint64_t now_ms = loop_now_ms(sidecar->loop);
	if (now_ms < sidecar->next_rules_ms)
		return;
	sidecar->next_rules_ms = now_ms + POLL_MS;
	poll_presence(sidecar);
	poll_mode(sidecar);
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
