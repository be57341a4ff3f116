/* Revocation lists that are not usable, or past their nextUpdate: a named condition, logged when it changes. */
#include "base/core/log.h"
#include "sidecar/sidecar_private.h"
#include <stdio.h>

void sidecar_revocation_lists_poll(struct sidecar *sidecar)
{
	struct identity_status status;
	struct revocation_lists lists = {0};
	char before[sizeof sidecar->lists_detail];
	memcpy(before, sidecar->lists_detail, sizeof before);
	sidecar->lists_detail[0] = '\0';
	sidecar_identity_status(sidecar, &status);
	if (status.credentials != NULL)
		bundle_set_lists(credentials_bundles(status.credentials),
			trusted_time_now_s(&sidecar->time, loop_clock(sidecar->loop)), &lists);
	if (lists.num_stale + lists.num_skipped > 0)
		(void)snprintf(sidecar->lists_detail, sizeof sidecar->lists_detail,
			"%zu in use, of which %zu are past their nextUpdate; %zu are not usable%s%s", lists.num,
			lists.num_stale, lists.num_skipped, lists.num_skipped > 0 ? ": " : "",
			lists.num_skipped > 0 ? lists.first_skipped->got : "");
	if (strcmp(before, sidecar->lists_detail) != 0 && sidecar->lists_detail[0] != '\0')
		log_warning("identity", "revocation lists: %s; %s", sidecar->lists_detail, SIDECAR_LISTS_FIX);
}
