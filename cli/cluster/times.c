#include "cli/cluster/times.h"
#include "base/core/number.h"
#include "certs/describe.h"
#include "certs/pem.h"
#include "cli/show.h"
#include <string.h>

enum { DAY_S = 86400, ROOT_S = 30 * DAY_S, WEBHOOK_S = 6 * 3600, SKEW_S = 60, DIGITS_MAX = 12 };

/* --- roots --- */

/* The value of a metric without labels: whole seconds. False: there is none, or 0. */
static bool read_metric(const char *metrics, const char *name, int64_t *out)
{
	size_t len = strlen(name);
	for (const char *at = metrics; at != NULL && *at != '\0';) {
		if (strncmp(at, name, len) == 0 && at[len] == ' ') {
			struct span rest = span_of(at + len + 1, strnlen(at + len + 1, DIGITS_MAX));
			*out = (int64_t)number_take(&rest, INT64_MAX);
			return *out > 0;
		}
		at = strchr(at, '\n');
		at = at == NULL ? NULL : at + 1;
	}
	return false;
}

static void check_root(struct findings *findings, const char *which, int64_t until_s, int64_t now_s)
{
	char until[32];
	struct why why;
	show_time(until_s * 1000, until);
	if (until_s - now_s > ROOT_S) {
		findings_well(findings, "root-expiry", "%s is valid until %.10s", which, until);
		return;
	}
	(void)why_set(&why, ERR_EXPIRED, "more than 30 days", "plan what replaces it: docs/rotate.md", "%s %s %.10s",
		which, until_s > now_s ? "expires" : "has expired", until);
	findings_wrong(findings, "root-expiry", &why);
}

void check_root_expiry(struct findings *findings, const char *metrics, int64_t now_s)
{
	static const struct {
		const char *name, *which;
	} rows[] = {
		{"handfast_control_root_expiry_timestamp_seconds", "the mesh's root"},
		{"handfast_control_bootstrap_root_expiry_timestamp_seconds", "the bootstrap root"},
	};
	int64_t until_s;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (read_metric(metrics, rows[i].name, &until_s))
			check_root(findings, rows[i].which, until_s, now_s);
}

/* --- the webhook's authorities --- */

static size_t read_bundle(struct span pem, int64_t *out_latest_s)
{
	struct pem_block block = {0};
	size_t num = 0;
	*out_latest_s = 0;
	while (pem_next(&pem, &block) == ERR_NONE) {
		struct cert_description one;
		if (cert_describe(span_of(block.der, block.der_len), &one, NULL) != ERR_NONE)
			continue;
		num++;
		if (one.not_after_s > *out_latest_s)
			*out_latest_s = one.not_after_s;
	}
	pem_block_done(&block);
	return num;
}

void check_webhook_certificate(struct findings *findings, struct span ca_bundle, int64_t now_s)
{
	int64_t until_s;
	struct why why;
	size_t num = read_bundle(ca_bundle, &until_s);
	long long left_s = (long long)(until_s - now_s);
	if (num > 0 && left_s > WEBHOOK_S) {
		findings_well(findings, "webhook-certificate", "%zu authorities, the last one valid for %lld hours",
			num, left_s / 3600);
		return;
	}
	if (num == 0)
		(void)why_set(&why, ERR_MALFORMED, "the certificates of the control plane's replicas",
			"see the log of handfast-control: may it patch its MutatingWebhookConfiguration?",
			"the webhook's caBundle has no certificate");
	else
		(void)why_set(&why, ERR_EXPIRED, "an authority that is valid for a day, renewed after half of it",
			"see the log of handfast-control, and its clock: may it patch its "
			"MutatingWebhookConfiguration?",
			left_s > 0 ? "the last authority of the webhook is valid for %lld minutes"
				   : "the last authority of the webhook has expired %lld minutes ago",
			(left_s > 0 ? left_s : -left_s) / 60);
	findings_wrong(findings, "webhook-certificate", &why);
}

/* --- clocks --- */

void check_clock(struct findings *findings, const char *whose, int64_t its_s, int64_t now_s)
{
	long long skew_s = (long long)(its_s - now_s), distance_s = skew_s < 0 ? -skew_s : skew_s;
	struct why why;
	if (distance_s < SKEW_S) {
		findings_well(findings, "clock", "%s agrees with this machine", whose);
		return;
	}
	(void)why_set(&why, ERR_CONFIG, "clocks that differ by less than a minute: certificates are judged by them",
		"set the clock that is wrong, and let NTP keep it", "the clock of %s is %lld s %s that of this machine",
		whose, distance_s, skew_s > 0 ? "ahead of" : "behind");
	findings_wrong(findings, "clock", &why);
}
