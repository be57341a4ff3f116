#include "base/core/clock.h"
#include "base/core/mem.h"
#include "cli/cluster/checks.h"
#include "cli/cluster/cluster_steps.h"
#include "cli/cluster/expiries.h"
#include "cli/cluster/times.h"
#include <string.h>

enum { METRICS_MAX = 1024 * 1024, REPLICAS_MAX = 8 };

static int64_t now_s(void)
{
	return clock_system.wall_ms(&clock_system) / 1000;
}

void step_clock(struct check *check)
{
	if (check->api.date_s != 0)
		check_clock(&check->findings, "the API server", check->api.date_s, now_s());
}

/* False: it has not answered; what the API server answers in its place has no metrics of ours. */
static bool ask_replica(struct check *check, const char *name, struct buf *out)
{
	struct why unused;
	_cleanup_(mem_freep) char *path =
		mem_printf("/api/v1/namespaces/%s/pods/%s:15014/proxy/metrics", check->own_namespace, name);
	return api_get_text(&check->api, path, out, &unused) == ERR_NONE &&
	       strstr(buf_cstr(out), "\nhandfast_control_") != NULL;
}

enum err step_clocks_and_roots(struct check *check, struct why *why)
{
	unsigned num = 0;
	RETURN_IF_ERR(check_read_replicas(check, why));
	for (size_t i = 0; i < json_array_size(check->replicas) && i < REPLICAS_MAX; i++) {
		const char *name = checks_name(json_array_get(check->replicas, i));
		_cleanup_(buf_done) struct buf metrics = BUF_INIT(METRICS_MAX);
		_cleanup_(mem_freep) char *whose = mem_printf("replica %.100s", name);
		if (!ask_replica(check, name, &metrics))
			continue;
		if (check->api.date_s != 0)
			check_clock(&check->findings, whose, check->api.date_s, now_s());
		if (check->expires_within_s > 0)
			check_expiries(&check->findings, whose, buf_cstr(&metrics), check->expires_within_s, now_s());
		if (num++ == 0)
			check_root_expiry(&check->findings, buf_cstr(&metrics), now_s());
	}
	if (json_array_size(check->replicas) > REPLICAS_MAX)
		findings_well(&check->findings, "root-expiry",
			"%d of %zu replicas were asked for their clocks and roots", REPLICAS_MAX,
			json_array_size(check->replicas));
	if (num == 0 && json_array_size(check->replicas) > 0)
		findings_well(&check->findings, "root-expiry",
			"not asked: no replica answers through the API server, or this account may not get pods/proxy");
	return ERR_NONE;
}
