#include "sidecar/worker/worker_set_aside.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "sidecar/worker/worker_gather.h"

enum { OF_WORKER_MAX = 256 }; /* as many as a worker's table has places */

struct slot {
	struct addr addresses[OF_WORKER_MAX];
	size_t num;
};

struct set_aside_request {
	set_aside_fn *on_set_aside;
	void *arg;
};

bool set_aside_has(const struct set_aside_endpoints *endpoints, const struct addr *address)
{
	for (size_t i = 0; i < endpoints->num; i++)
		if (addr_eq(&endpoints->addresses[i], address))
			return true;
	return false;
}

static void copy_one(void *arg, const struct addr *endpoint, uint64_t for_ms)
{
	struct slot *slot = arg;
	(void)for_ms;
	if (slot->num < OF_WORKER_MAX)
		slot->addresses[slot->num++] = *endpoint;
}

static void inspect(void *slot, const struct worker_inside *inside)
{
	outliers_each(inside->outliers, inside->now_ms, copy_one, slot);
}

static void answer(void *arg, void *slots, unsigned num)
{
	struct set_aside_request *request = arg;
	const struct slot *of_workers = slots;
	size_t total = 0;
	for (unsigned i = 0; i < num; i++)
		total += of_workers[i].num;
	struct addr *all = mem_calloc(total + 1, sizeof(*all));
	size_t at = 0;
	for (unsigned i = 0; i < num; i++)
		for (size_t k = 0; k < of_workers[i].num; k++)
			all[at++] = of_workers[i].addresses[k];
	CHECK(at == total);
	const struct set_aside_endpoints endpoints = {all, total};
	request->on_set_aside(request->arg, &endpoints);
	mem_free(all);
	mem_free(request);
}

void worker_gather_set_aside(
	struct worker *const *workers, unsigned num, struct loop *reply_to, set_aside_fn *on_set_aside, void *arg)
{
	struct set_aside_request *request = mem_new(struct set_aside_request);
	*request = (struct set_aside_request){.on_set_aside = on_set_aside, .arg = arg};
	worker_gather(workers, num, sizeof(struct slot), inspect, reply_to, answer, request);
}
