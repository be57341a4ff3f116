#include "base/core/cleanup.h"
#include "base/tls/scratch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

struct guest {
	struct scratch_owner owner;
	unsigned num_evictions;
};

static void on_evict(struct scratch_owner *owner)
{
	container_of(owner, struct guest, owner)->num_evictions++;
}

static void evicts_only_the_former_owner(_unused_ void **state)
{
	struct tls_scratch *scratch = tls_scratch_new();
	struct guest first = {.owner = {on_evict}}, second = {.owner = {on_evict}};
	assert_non_null(scratch_claim(scratch, &first.owner));
	(void)scratch_claim(scratch, &first.owner);
	assert_int_equal(first.num_evictions, 0);
	(void)scratch_claim(scratch, &second.owner);
	assert_int_equal(first.num_evictions, 1);
	scratch_release(scratch, &first.owner); /* not the owner any more */
	(void)scratch_claim(scratch, &first.owner);
	assert_int_equal(second.num_evictions, 1);
	scratch_release(scratch, &first.owner);
	tls_scratch_free(scratch);
}

static void reuses_blocks(_unused_ void **state)
{
	struct tls_scratch *scratch = tls_scratch_new();
	uint8_t *block = scratch_take_block(scratch);
	memset(block, 1, SCRATCH_BLOCK_LEN);
	scratch_give_block(scratch, block);
	assert_ptr_equal(scratch_take_block(scratch), block);
	scratch_give_block(scratch, block);
	tls_scratch_free(scratch);
}

static void keeps_few_blocks_after_many_were_used(_unused_ void **state)
{
	struct tls_scratch *scratch = tls_scratch_new();
	uint8_t *blocks[8];
	for (size_t i = 0; i < 8; i++)
		blocks[i] = scratch_take_block(scratch);
	for (size_t i = 0; i < 8; i++)
		scratch_give_block(scratch, blocks[i]);
	assert_int_equal(scratch->num_spare, SCRATCH_NUM_SPARE);
	tls_scratch_free(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(evicts_only_the_former_owner),
		cmocka_unit_test(reuses_blocks),
		cmocka_unit_test(keeps_few_blocks_after_many_were_used),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
