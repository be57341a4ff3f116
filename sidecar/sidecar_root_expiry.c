/* Reports the expiry of the mesh root, with which every identity expires: from 30 days before, once per day. */
#include "base/core/date.h"
#include "base/core/log.h"
#include "sidecar/sidecar_private.h"
#include <stdio.h>

enum { DAY_S = 86400, WARN_DAYS = 30 };

static int64_t root_ends_s(const struct sidecar *sidecar)
{
	struct identity_status status;
	sidecar_identity_status(sidecar, &status);
	if (status.credentials == NULL)
		return 0;
	const struct bundle *own = bundle_set_find(
		credentials_bundles(status.credentials), span_of_str(sidecar->config->trust_domain.name));
	return own == NULL ? 0 : bundle_ends_s(own);
}

void sidecar_root_expiry_poll(struct sidecar *sidecar)
{
	int64_t end_s = root_ends_s(sidecar), now_s = trusted_time_now_s(&sidecar->time, loop_clock(sidecar->loop));
	char date[DATE_TEXT_MAX];
	metric_set(sidecar_shard(sidecar), METRIC_ROOT_EXPIRES, end_s);
	sidecar->root_detail[0] = '\0';
	if (end_s == 0 || end_s - now_s > WARN_DAYS * DAY_S)
		return;
	(void)snprintf(sidecar->root_detail, sizeof sidecar->root_detail, "it expires at %s, in %lld days",
		date_format(end_s, date), (long long)((end_s - now_s) / DAY_S));
	if (loop_now_ms(sidecar->loop) < sidecar->next_root_warning_ms)
		return;
	sidecar->next_root_warning_ms = loop_now_ms(sidecar->loop) + DAY_S * 1000ULL;
	log_warning("identity", "the mesh root expires soon, and with it every identity: %s; %s", sidecar->root_detail,
		SIDECAR_ROOT_FIX);
}
