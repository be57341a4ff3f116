/* A TLS handshake that failed: its close reason, and, where it was to become an inbound connection without a tunnel,
 * its record. A tunnel's is reported by the tunnel: it is no connection. */
#include "sidecar/conn/conn_state.h"

enum close_reason conn_reason_of_tls(enum err err, bool failed_by_peer)
{
	static const struct {
		enum err err;
		enum close_reason reason;
	} reasons[] = {
		{ERR_WRONG_PEER, CLOSE_WRONG_PEER},
		{ERR_TIMEOUT, CLOSE_TLS_TIMEOUT},
		{ERR_EXPIRED, CLOSE_PEER_EXPIRED},
		{ERR_NOT_YET_VALID, CLOSE_PEER_EXPIRED},
		{ERR_UNTRUSTED, CLOSE_PEER_UNTRUSTED},
		{ERR_NO_BUNDLE, CLOSE_PEER_UNTRUSTED},
		{ERR_REVOKED, CLOSE_PEER_UNTRUSTED},
		{ERR_NOT_SVID, CLOSE_PEER_UNTRUSTED},
		{ERR_LIMIT, CLOSE_LIMIT_REACHED},
		{ERR_UNAVAILABLE, CLOSE_NO_IDENTITY},
	};
	if (failed_by_peer)
		return CLOSE_REFUSED_BY_PEER;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].err == err)
			return reasons[i].reason;
	return CLOSE_TLS_FAILED;
}

void conn_report_failed_handshake(const struct conn_env *env, const struct direct_failure *failure)
{
	const struct conn_observer *observer = &env->observer;
	const struct credentials *own = env->snapshot->credentials;
	const struct clock *clock = loop_clock(env->loop);
	enum close_reason reason = conn_reason_of_tls(failure->detail->err, failure->failed_by_peer);
	const struct access_record record = {
		.direction = "inbound",
		.source = *failure->remote,
		.destination = *failure->local,
		.source_id = failure->peer == NULL ? NULL : svid_id(failure->peer),
		.destination_id = own == NULL ? NULL : credentials_id(own),
		.opened_ms = failure->begun_ms,
		.duration_ms = loop_now_ms(env->loop) - failure->begun_ms,
		.ended_wall_ms = clock->wall_ms(clock),
		.reason = close_reason_label(reason),
		.failed = close_reason_is_failure(reason),
		.detail = failure->detail,
	};
	if (observer->on_begin != NULL)
		observer->on_begin(observer->arg, CONN_INBOUND);
	if (observer->on_end != NULL)
		observer->on_end(observer->arg, CONN_INBOUND, reason, &record);
}
