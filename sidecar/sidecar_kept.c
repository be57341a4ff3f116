/* Destinations and policy of the time before a restart, for use while no control plane can be reached (decision 074).
 * They count as long as the SVID that was in use when they were kept. */
#include "base/core/log.h"
#include "sidecar/sidecar_private.h"
#include <stdio.h>

#define COMPONENT "kept"

enum { PAUSE_MS = 5000, CONTENT_MAX = 4 << 20 };
static const char name[] = "destinations";

void sidecar_kept_open(struct sidecar *sidecar)
{
	kept_init(&sidecar->destinations, sidecar->state, name, PAUSE_MS);
}

static void write_now(struct sidecar *sidecar)
{
	_cleanup_(buf_done) struct buf content = BUF_INIT(CONTENT_MAX);
	struct identity_status status;
	sidecar_identity_status(sidecar, &status);
	if (status.credentials == NULL)
		return; /* what was kept before stays; it is written when there is an identity */
	const struct kept_for for_ = {.id = spiffe_id_text(credentials_id(status.credentials)),
		.not_after_s = credentials_until_s(status.credentials)};
	enum err err = discovery_client_keep(sidecar->discovery, &for_, &content);
	if (err != ERR_NONE)
		buf_clear(&content); /* the file is removed: an older policy must not come back */
	if (err != ERR_NONE || buf_len(&content) > 0)
		kept_write(&sidecar->destinations, buf_span(&content), loop_now_ms(sidecar->loop));
}

void sidecar_kept_on_stale(void *arg, bool must_not_be_used)
{
	struct sidecar *sidecar = arg;
	if (kept_changed(&sidecar->destinations, must_not_be_used ? KEPT_IS_WRONG : KEPT_IS_OLDER,
		    loop_now_ms(sidecar->loop)))
		write_now(sidecar);
}

void sidecar_kept_poll(struct sidecar *sidecar)
{
	if (kept_is_due(&sidecar->destinations, loop_now_ms(sidecar->loop)))
		write_now(sidecar);
}

void sidecar_kept_flush(struct sidecar *sidecar)
{
	if (sidecar->identity != NULL)
		identity_client_keep_now(sidecar->identity);
	if (sidecar->destinations.is_due)
		write_now(sidecar);
}

static const struct spiffe_id *own_id(const struct sidecar *sidecar)
{
	struct identity_status status;
	sidecar_identity_status(sidecar, &status);
	if (status.is_valid)
		return credentials_id(status.credentials);
	return sidecar->identity == NULL ? NULL : identity_client_kept_id(sidecar->identity);
}

static enum err take(struct sidecar *sidecar, const struct spiffe_id *id, struct why *why)
{
	_cleanup_(buf_done) struct buf content = BUF_INIT(CONTENT_MAX);
	RETURN_IF_ERR(state_folder_kept(sidecar->state, name, &content, why));
	return discovery_client_take_kept(sidecar->discovery, buf_span(&content), spiffe_id_text(id),
		trusted_time_now_s(&sidecar->time, loop_clock(sidecar->loop)), why);
}

void sidecar_kept_on_outage(void *arg)
{
	struct sidecar *sidecar = arg;
	struct why why = {0};
	const struct spiffe_id *id = own_id(sidecar);
	if (sidecar->sent_policy != NULL || sidecar->is_kept_tried || id == NULL)
		return;
	sidecar->is_kept_tried = true;
	enum err err = take(sidecar, id, &why);
	if (err == ERR_NONE)
		log_warning(COMPONENT, "continuing with the policy and %zu destinations from before the restart",
			discovery_client_num_subscriptions(sidecar->discovery));
	else if (err != ERR_NOT_FOUND)
		log_why(LOG_LEVEL_WARNING, COMPONENT,
			"the policy and the destinations from before the restart are not used", &why);
}

bool sidecar_retained_text(const struct retained_bans *retained, char out[SIDECAR_RETAINED_MAX])
{
	char ids[300] = "", serials[100] = "";
	if (retained->num_ids == 0 && retained->num_serials == 0)
		return false;
	if (retained->num_ids > 0)
		snprintf(ids, sizeof(ids), "%u banned identities (%s%s)", retained->num_ids, retained->first,
			retained->num_ids > 1 ? " and others" : "");
	if (retained->num_serials > 0)
		snprintf(serials, sizeof(serials), "%s%u revoked certificates", ids[0] == '\0' ? "" : " and ",
			retained->num_serials);
	snprintf(out, SIDECAR_RETAINED_MAX,
		"%s%s are refused here; the control plane was restored and no longer has them", ids, serials);
	return true;
}
