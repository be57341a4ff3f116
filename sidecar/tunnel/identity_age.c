#include "sidecar/tunnel/identity_age.h"

#include "base/core/log.h"
#include "sidecar/tunnel/tunnel.h"

enum { POLL_MS = 1000 };

static int64_t age_of(const struct svid *svid, int64_t now_s)
{
	return svid == NULL ? 0 : now_s - svid_not_before_s(svid);
}

int64_t tunnel_identity_age_s(const struct tunnel *tunnel)
{
	if (tunnel->credentials == NULL)
		return 0;
	int64_t now_s = tunnel_set_now_s(tunnel->set);
	int64_t own_s = age_of(credentials_svid(tunnel->credentials), now_s),
		peer_s = age_of(tunnel_peer(tunnel), now_s);
	return own_s > peer_s ? own_s : peer_s;
}

/* Only a tunnel that drains: new streams have another one. A certificate that lives longer than the maximum age is
 * replaced by its own renewal, and a new tunnel with it would be as old. */
static bool is_too_old(const struct tunnel *tunnel)
{
	return tunnel->state == TUNNEL_OPEN && tunnel->is_draining && tunnel->num_streams > 0 &&
	       tunnel_identity_age_s(tunnel) >= (int64_t)tunnel->set->limits.max_identity_age_s;
}

static void cut(struct tunnel *tunnel)
{
	struct why why = {0};
	why_set(&why, ERR_EXPIRED, "connections that end within max_identity_age and its grace",
		"let the application reconnect from time to time, or raise max_identity_age",
		"the connection was opened under an identity of %lld s ago", (long long)tunnel_identity_age_s(tunnel));
	tunnel->is_too_old = true;
	tunnel_lost(tunnel, &why);
}

/* One line per poll: a peer may have many tunnels. */
static void report(const struct tunnel_set *set, const struct tunnel *oldest, unsigned num)
{
	log_warning("tunnel",
		"%u tunnels carry connections under identities older than max_identity_age (%u s), the oldest %lld s, "
		"with %s; they are closed in %u s",
		num, set->limits.max_identity_age_s, (long long)tunnel_identity_age_s(oldest),
		svid_id(tunnel_peer(oldest))->text, set->limits.identity_age_grace_s);
}

static void on_poll(struct loop_timer *timer)
{
	struct tunnel_set *set = container_of(timer, struct tunnel_set, ages);
	const struct tunnel *oldest = NULL;
	uint64_t now_ms = loop_now_ms(set->loop);
	unsigned num = 0;
	LIST_EACH_REMOVABLE(&set->tunnels, struct tunnel, tunnel, link) {
		if (!is_too_old(tunnel))
			continue;
		if (tunnel->old_since_ms == 0) {
			tunnel->old_since_ms = now_ms;
			oldest = oldest == NULL || tunnel_identity_age_s(tunnel) > tunnel_identity_age_s(oldest)
					 ? tunnel
					 : oldest;
			num++;
		} else if (now_ms - tunnel->old_since_ms >= set->limits.identity_age_grace_s * 1000ULL) {
			cut(tunnel);
		}
	}
	if (num > 0)
		report(set, oldest, num);
	loop_timer_start(set->loop, timer, POLL_MS, on_poll);
}

void identity_age_start(struct tunnel_set *set)
{
	if (set->limits.max_identity_age_s > 0)
		loop_timer_start(set->loop, &set->ages, POLL_MS, on_poll);
}

void identity_age_stop(struct tunnel_set *set)
{
	loop_timer_stop(&set->ages);
}
