/* The certificates that this sidecar uses, as metrics; and whether the renewal of its own is late. */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "certs/expiry.h"
#include "sidecar/report/sidecar_metrics.h"
#include "sidecar/sidecar_private.h"
#include <stdio.h>

enum {
	BUNDLES_MAX = 64,
	ROOTS_MAX = 32,
	ROWS_MAX = SVID_CHAIN_MAX + BUNDLES_MAX * ROOTS_MAX
}; /* as trust_parse() allows */

struct collecting {
	struct cert_expiry *rows;
	size_t num;
};

static void add(struct collecting *to, const char *kind, const char *trust_domain, struct span der)
{
	if (to->num < ROWS_MAX)
		to->rows[to->num++] = (struct cert_expiry){kind, trust_domain, der};
}

static void add_all(const struct sidecar *sidecar, const struct credentials *credentials, struct collecting *to)
{
	const struct svid *svid = credentials_svid(credentials);
	const struct bundle_set *bundles = credentials_bundles(credentials);
	for (size_t i = 0; i < svid_num_chain(svid); i++)
		add(to, i == 0 ? "svid" : "intermediate", sidecar->config->trust_domain.name, svid_cert(svid, i));
	for (size_t i = 0; i < bundle_set_num(bundles); i++) {
		const struct bundle *bundle = bundle_set_at(bundles, i);
		for (size_t j = 0; j < bundle_num_all(bundle); j++)
			add(to, j < bundle_num_roots(bundle) ? "root" : "retired_root",
				bundle_trust_domain(bundle)->name, bundle_root(bundle, j));
	}
}

enum err sidecar_put_certificates(const struct sidecar *sidecar, struct buf *out)
{
	struct identity_status status;
	struct collecting all = {.rows = mem_calloc(ROWS_MAX, sizeof *all.rows)};
	sidecar_identity_status(sidecar, &status);
	if (status.credentials != NULL)
		add_all(sidecar, status.credentials, &all);
	enum err err = cert_expiry_encode(sidecar_certificate_metrics, all.rows, all.num, out);
	mem_free(all.rows);
	return err;
}

void sidecar_renewal_poll(struct sidecar *sidecar)
{
	struct identity_status status;
	sidecar_identity_status(sidecar, &status);
	sidecar->late_detail[0] = '\0';
	if (!status.is_valid)
		return; /* reported as such */
	const struct svid *svid = credentials_svid(status.credentials);
	int64_t to_s = credentials_until_s(status.credentials);
	int64_t left_s = to_s - trusted_time_now_s(&sidecar->time, loop_clock(sidecar->loop));
	if (left_s >= cert_expiry_margin_s("svid", svid_not_before_s(svid), to_s, INT64_MAX))
		return;
	(void)snprintf(sidecar->late_detail, sizeof sidecar->late_detail, "the certificate expires in %lld s",
		(long long)left_s);
	if (sidecar->late_logged_s == to_s)
		return;
	sidecar->late_logged_s = to_s;
	log_warning("identity",
		"the renewal is late: %s; expected: a renewal at half of its life; fix: list the recent failures: "
		"`handfast why`",
		sidecar->late_detail);
}
