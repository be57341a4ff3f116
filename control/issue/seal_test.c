#include "control/issue/seal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

#define SECRET  SPAN_LITERAL("the key of a root")
#define CONTEXT SPAN_LITERAL("its certificate")

struct world {
	struct private_key *key;
	struct buf sealed, secret;
};

static int set_up(void **state)
{
	static struct world world;
	world = (struct world){private_key_generate(), BUF_INIT(1024), BUF_INIT(1024)};
	assert_int_equal(seal_make(world.key, CONTEXT, SECRET, &world.sealed), ERR_NONE);
	*state = &world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	private_key_unref(world->key);
	buf_done(&world->sealed);
	buf_done(&world->secret);
	return 0;
}

static void a_sealed_secret_opens_with_the_same_key_and_context(void **state)
{
	struct world *world = *state;
	struct why why = {0};
	assert_int_equal(seal_open(world->key, CONTEXT, buf_span(&world->sealed), &world->secret, &why), ERR_NONE);
	assert_true(span_eq(buf_span(&world->secret), SECRET));
}

static void two_seals_of_one_secret_differ(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf again = BUF_INIT(1024);
	assert_int_equal(seal_make(world->key, CONTEXT, SECRET, &again), ERR_NONE);
	assert_false(span_eq(buf_span(&again), buf_span(&world->sealed)));
}

static void another_key_context_or_byte_opens_nothing(void **state)
{
	struct world *world = *state;
	struct why why = {0};
	_cleanup_(private_key_unrefp) struct private_key *other = private_key_generate();
	struct span sealed = buf_span(&world->sealed);
	assert_int_equal(seal_open(other, CONTEXT, sealed, &world->secret, &why), ERR_STATE_DAMAGED);
	assert_int_equal(
		seal_open(world->key, SPAN_LITERAL("another"), sealed, &world->secret, &why), ERR_STATE_DAMAGED);
	for (size_t i = 0; i < sealed.len; i++) {
		uint8_t *byte = (uint8_t *)(uintptr_t)&sealed.ptr[i];
		*byte ^= 1;
		assert_int_equal(seal_open(world->key, CONTEXT, sealed, &world->secret, &why), ERR_STATE_DAMAGED);
		*byte ^= 1;
		assert_int_equal(seal_open(world->key, CONTEXT, span_of(sealed.ptr, i), &world->secret, &why),
			ERR_STATE_DAMAGED);
	}
	assert_int_equal(buf_len(&world->secret), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sealed_secret_opens_with_the_same_key_and_context),
		TEST(two_seals_of_one_secret_differ),
		TEST(another_key_context_or_byte_opens_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
