#include "control/rotate/test_rotation.h"
#include "base/core/mem.h"
#include "base/core/test_wait.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the four above */
#include <cmocka.h>

void test_rotation_init(struct test_rotation *test, const struct clock *clock, size_t place)
{
	*test = (struct test_rotation){.parent = "/tmp/rotationXXXXXX", .domain.name = "td", .place = place};
	assert_non_null(mkdtemp(test->parent));
	snprintf(test->keys, sizeof test->keys, "%s/keys", test->parent);
	snprintf(test->path, sizeof test->path, "%s/store", test->parent);
	buf_init(&test->first, 4096);
	test->loop = loop_new(clock);
}

void test_rotation_done(struct test_rotation *test)
{
	_cleanup_(mem_freep) char *command = mem_printf("rm -rf %s", test->parent);
	loop_free(test->loop);
	buf_done(&test->first);
	assert_int_equal(system(command), 0);
}

static void on_lost(_unused_ void *arg, _unused_ enum err err)
{
	fail_msg("the signer has ended");
}

static void on_introduced(void *arg, enum err err, const struct issued *issued, _unused_ const struct why *why)
{
	struct test_rotation *test = arg;
	assert_int_equal(err, ERR_NONE);
	buf_clear(&test->first);
	assert_int_equal(buf_append(&test->first, issued->chain[test->place]), ERR_NONE);
	digest_sha256(issued->chain[test->place], test->in_use);
	test->num_introduced++;
}

void test_rotation_start(struct test_rotation *test)
{
	struct why why = {0};
	const struct store_mark mark = {.epoch = ++test->epoch, .incarnation = 1};
	const struct issuer_options issuer = {.loop = test->loop,
		.key_folder = test->keys,
		.trust_domain = &test->domain,
		.max_leaf_ttl_s = 3600,
		.intermediate_life_s = 7 * 86400,
		.root_life_s = 365 * 86400,
		.policy = test->epoch == 1 ? KEYS_MAY_BE_MADE : KEYS_MUST_EXIST,
		.on_lost = on_lost,
		.arg = test};
	assert_int_equal(issuer_start(&issuer, &test->issuer, &why), ERR_NONE);
	assert_int_equal(store_open(test->loop, test->path, &test->store, &why), ERR_NONE);
	test->num_introduced = test->num_ready = 0;
	issuer_introduce(test->issuer, &mark, on_introduced, test);
	test_rotation_wait(test, &test->num_introduced, 1);
}

void test_rotation_stop(struct test_rotation *test)
{
	issuer_free(test->issuer);
	store_close(test->store);
	loop_run_once(test->loop, false);
}

void test_rotation_wait(struct test_rotation *test, const unsigned *count, unsigned value)
{
	assert_true(WAIT_UNTIL(*count >= value, loop_run_once(test->loop, false)));
}

void test_rotation_on_ready(void *arg, enum err err, _unused_ const struct why *why)
{
	struct test_rotation *test = arg;
	test->num_ready++;
	test->ready = err;
}

void test_rotation_on_published(_unused_ void *arg)
{
}

void test_rotation_on_active(void *arg, const struct issued *authorities)
{
	struct test_rotation *test = arg;
	test->num_active++;
	digest_sha256(authorities->chain[test->place], test->in_use);
}

void test_rotation_on_done(void *arg, enum err err, _unused_ const struct why *why)
{
	struct test_rotation *test = arg;
	test->num_done++;
	test->done = err;
}
