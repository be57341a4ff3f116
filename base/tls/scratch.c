#include "base/tls/scratch.h"
#include "base/core/check.h"
#include "base/core/mem.h"

struct tls_scratch *tls_scratch_new(void)
{
	/* Not zeroed: unused pages stay unallocated. */
	struct tls_scratch *scratch = mem_alloc(sizeof *scratch);
	scratch->owner = NULL;
	scratch->num_spare = 0;
	return scratch;
}

void tls_scratch_free(struct tls_scratch *scratch)
{
	if (scratch == NULL)
		return;
	CHECK(scratch->owner == NULL); /* a session still uses it */
	while (scratch->num_spare > 0)
		mem_free(scratch->spare[--scratch->num_spare]);
	mem_free(scratch);
}

uint8_t *scratch_claim(struct tls_scratch *scratch, struct scratch_owner *owner)
{
	CHECK(owner->on_evict != NULL);
	if (scratch->owner != NULL && scratch->owner != owner)
		scratch->owner->on_evict(scratch->owner);
	scratch->owner = owner;
	return scratch->input;
}

void scratch_release(struct tls_scratch *scratch, const struct scratch_owner *owner)
{
	if (scratch->owner == owner)
		scratch->owner = NULL;
}

uint8_t *scratch_take_block(struct tls_scratch *scratch)
{
	if (scratch->num_spare > 0)
		return scratch->spare[--scratch->num_spare];
	return mem_alloc(SCRATCH_BLOCK_LEN);
}

void scratch_give_block(struct tls_scratch *scratch, uint8_t *block)
{
	CHECK(block != NULL);
	if (scratch->num_spare < SCRATCH_NUM_SPARE)
		scratch->spare[scratch->num_spare++] = block;
	else
		mem_free(block);
}
