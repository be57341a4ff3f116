#include "sidecar/worker/worker_gather.h"

#include "base/core/check.h"
#include "base/core/mem.h"

struct gather;

struct gather_part { /* one per worker */
	struct gather *gather;
	void *slot;
};

struct gather {
	gather_inspect_fn *inspect;
	gather_done_fn *on_done;
	void *arg;
	unsigned num, num_missing; /* counted on reply_to */
	void *slots;
	struct gather_part parts[];
};

static void inspect_one(void *arg, const struct worker_inside *inside)
{
	struct gather_part *part = arg;
	part->gather->inspect(part->slot, inside);
}

static void inspected_one(void *arg)
{
	struct gather *gather = ((struct gather_part *)arg)->gather;
	CHECK(gather->num_missing > 0 && gather->num_missing <= gather->num);
	if (--gather->num_missing > 0)
		return;
	gather->on_done(gather->arg, gather->slots, gather->num);
	mem_free(gather->slots);
	mem_free(gather);
}

void worker_gather(struct worker *const *workers, unsigned num, size_t slot_size, gather_inspect_fn *inspect,
	struct loop *reply_to, gather_done_fn *on_done, void *arg)
{
	CHECK(num > 0 && slot_size > 0);
	struct gather *gather = mem_zalloc(sizeof(struct gather) + num * sizeof(struct gather_part));
	gather->inspect = inspect;
	gather->on_done = on_done;
	gather->arg = arg;
	gather->num = gather->num_missing = num;
	gather->slots = mem_calloc(num, slot_size);
	for (unsigned i = 0; i < num; i++) {
		gather->parts[i] =
			(struct gather_part){.gather = gather, .slot = (char *)gather->slots + i * slot_size};
		worker_inspect(workers[i], inspect_one, reply_to, inspected_one, &gather->parts[i]);
	}
}
