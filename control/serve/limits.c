/* The limits of the listeners: every refusal is counted, and an episode of refusals is logged at its start and end. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "control/serve/serve_private.h"
#include <inttypes.h>

#define CALM_MS 10000 /* this long without a refusal ends the episode */

static const struct {
	enum control_metric metric;
	const char *what, *fix;
} limits[SERVE_LIMITS_NUM] = {
	[SERVE_LIMIT_CONNECTIONS] = {CONTROL_REFUSED_CONNECTIONS, "connections at the streams port",
		"raise limits.max_connections and the limit of open files (LimitNOFILE=)"},
	[SERVE_LIMIT_IDENTITY] = {CONTROL_REFUSED_IDENTITY, "connections of one identity",
		"find the sidecars of this identity that connect so often, or raise limits.max_connections"},
	[SERVE_LIMIT_HANDSHAKES] = {CONTROL_REFUSED_HANDSHAKES, "handshakes under way",
		"raise limits.max_handshakes, or find the hosts that open connections and send nothing"},
	[SERVE_LIMIT_OPERATORS] = {CONTROL_REFUSED_OPERATORS, "connections of operators",
		"end the operator commands that hang"},
};

static uint32_t max_of(const struct serve *serve, enum serve_limit limit)
{
	switch (limit) {
	case SERVE_LIMIT_CONNECTIONS:
		return serve->options.max_connections;
	case SERVE_LIMIT_IDENTITY:
		return serve_identity_max(serve);
	case SERVE_LIMIT_HANDSHAKES:
		return serve->options.max_handshakes;
	case SERVE_LIMIT_OPERATORS:
		return SERVE_OPERATORS_MAX;
	case SERVE_LIMITS_NUM:
		break;
	}
	CHECK_UNREACHABLE();
}

static void refused(struct serve *serve, enum serve_limit limit, const struct addr *from)
{
	struct limit_episode *episode = &serve->episodes[limit];
	char source[ADDR_TEXT_MAX];
	struct why why = {0};
	serve_count(serve, limits[limit].metric);
	episode->last_ms = loop_now_ms(serve->options.loop);
	if (episode->num++ != 0)
		return;
	episode->began_ms = episode->last_ms;
	(void)why_set(&why, ERR_LIMIT, "a connection below the limit", limits[limit].fix,
		"there are %u %s, and the connection from %s is closed", max_of(serve, limit), limits[limit].what,
		from->ip.family == 0 ? "this host" : ip_addr_format(&from->ip, source));
	log_why(LOG_LEVEL_WARNING, "serve", "a limit is reached; further refusals are only counted", &why);
}

static void end_if_over(struct serve *serve, enum serve_limit limit)
{
	struct limit_episode *episode = &serve->episodes[limit];
	if (episode->num == 0 || loop_now_ms(serve->options.loop) - episode->last_ms < CALM_MS)
		return;
	log_notice("serve",
		"the limit of %u %s is no longer reached: it closed %" PRIu64 " connections in %" PRIu64 " ms",
		max_of(serve, limit), limits[limit].what, episode->num, episode->last_ms - episode->began_ms);
	*episode = (struct limit_episode){0};
}

void limits_on_streams(void *arg, enum rpc_limit limit, const struct addr *from)
{
	refused(arg, limit == RPC_LIMIT_CONNECTIONS ? SERVE_LIMIT_CONNECTIONS : SERVE_LIMIT_HANDSHAKES, from);
}

void limits_on_identity(struct serve *serve, const struct addr *from)
{
	refused(serve, SERVE_LIMIT_IDENTITY, from);
}

void limits_on_operators(void *arg, _unused_ enum rpc_limit limit, const struct addr *from)
{
	refused(arg, SERVE_LIMIT_OPERATORS, from);
}

/* The listener logs it. */
void limits_on_pause(void *arg, bool paused)
{
	const struct serve *serve = arg;
	if (paused)
		serve_count(serve, CONTROL_ACCEPT_PAUSES);
}

static bool is_exhausted(const struct listener *listener)
{
	return listener != NULL && listener_is_exhausted(listener);
}

static uint64_t num_refused(const struct listener *listener)
{
	return listener == NULL ? 0 : listener_num_refused(listener);
}

void limits_sweep(struct serve *serve)
{
	for (unsigned limit = 0; limit < SERVE_LIMITS_NUM; limit++)
		end_if_over(serve, (enum serve_limit)limit);
	uint64_t now = num_refused(serve->streams_listener) + num_refused(serve->operator_listener);
	if (now > serve->num_refused) {
		metric_add(serve->options.metrics, CONTROL_REFUSED_DESCRIPTORS, (int64_t)(now - serve->num_refused));
		serve->num_refused = now;
	}
}

void serve_scrape(const struct serve *serve)
{
	metric_set(serve->options.metrics, CONTROL_LOG_SUPPRESSED,
		(int64_t)(limited_log_num_suppressed(serve->lines) +
			  distributor_num_suppressed(serve->options.distributor)));
	metric_set(serve->options.metrics, CONTROL_STREAMS, serve->num_streams);
	metric_set(serve->options.metrics, CONTROL_SIGNER_WAIT, (int64_t)signer_watch_wait_ms(&serve->signer));
	if (serve->num_authorities == 3) /* the last one signs */
		metric_set(serve->options.metrics, CONTROL_INTERMEDIATE_EXPIRES, serve->authorities[2].not_after_s);
	metric_set(serve->options.metrics, CONTROL_CONNECTIONS, rpc_server_num_peers(serve->streams));
	metric_set(serve->options.metrics, CONTROL_CONNECTIONS_WAITING, waiting_room_num(serve->waiting));
	metric_set(serve->options.metrics, CONTROL_CONNECTIONS_MAX, serve->options.max_connections);
	int64_t until_s;
	metric_set(serve->options.metrics, CONTROL_SVIDS_UNRECORDED,
		(int64_t)granter_num_unrecorded(serve->granter, &until_s));
	conditions_scrape(serve);
	rotation_scrape(serve);
}

void serve_list_obstacles(const struct serve *serve, struct buf *out)
{
	enum err full = ERR_NONE;
	if (is_exhausted(serve->streams_listener) || is_exhausted(serve->operator_listener))
		full = buf_append_str(out, "out of file descriptors: accepting connections is paused\n");
	uint64_t wait_ms = signer_watch_wait_ms(&serve->signer);
	if (wait_ms >= SIGNER_WATCH_LATE_MS && full == ERR_NONE)
		full = buf_printf(out, "the signer has not answered for %llu s: no certificate can be made\n",
			(unsigned long long)(wait_ms / 1000));
	if (full == ERR_NONE)
		full = send_away_put_obstacle(serve, out);
	(void)full; /* one line suffices to report not ready */
}
