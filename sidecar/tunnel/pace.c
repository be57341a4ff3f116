#include "sidecar/tunnel/pace.h"

uint32_t pace_batch(const struct pace *pace)
{
	return pace->batch == 0 ? PACE_MAX : pace->batch;
}

bool pace_wants_facts(struct pace *pace, uint64_t now_ms)
{
	if (pace->asked_ms != 0 && now_ms - pace->asked_ms < PACE_ASK_MS)
		return false;
	pace->asked_ms = now_ms;
	return true;
}

static uint32_t within_limits(uint64_t bytes)
{
	return bytes < PACE_MIN ? PACE_MIN : bytes > PACE_MAX ? PACE_MAX : (uint32_t)bytes;
}

/* A socket that has nothing left has waited for us: then the rate is ours and not the path's. Else it falls by half at
 * most, so that one bad interval of a fast path costs little, and follows the rate up at once. */
static uint32_t next_batch(uint32_t batch, const struct tcp_path *path)
{
	if (path->unsent == 0)
		return within_limits((uint64_t)batch * 2);
	if (path->rate == 0)
		return batch;
	uint32_t wanted = within_limits(path->rate * PACE_AHEAD_MS / 1000);
	return wanted < batch / 2 ? batch / 2 : wanted;
}

bool pace_judge(struct pace *pace, const struct tcp_path *path)
{
	uint32_t before = pace_batch(pace);
	pace->batch = next_batch(before, path);
	return pace->batch != before;
}
