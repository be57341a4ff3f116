/* The control plane's own certificate, made by the real signer, on a clock that the test sets. */
#include "base/core/mem.h"
#include "base/core/test_wait.h"
#include "control/issue/signer.h"
#include "control/serve/server_identity.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka requires the four above */
#include <cmocka.h>

#define HOUR_MS (3600 * 1000LL)

struct world {
	char parent[64], folder[80];
	struct clock_fake clock;
	struct loop *loop;
	struct issuer *issuer;
	struct server_identity *identity;
	struct trust_domain domain;
	bool is_ready;
};

static void on_lost(_unused_ void *arg, _unused_ enum err err)
{
	fail();
}

static void on_introduced(void *arg, enum err err, _unused_ const struct issued *issued, _unused_ const struct why *why)
{
	assert_int_equal(err, ERR_NONE);
	((struct world *)arg)->is_ready = true;
}

static void on_ready(void *arg, enum err err, _unused_ const struct why *why)
{
	assert_int_equal(err, ERR_NONE);
	((struct world *)arg)->is_ready = true;
}

static void wait_until_ready(struct world *world)
{
	while (!world->is_ready)
		loop_run_once(world->loop, true);
	world->is_ready = false;
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	const struct store_mark mark = {.epoch = 1, .incarnation = 1};
	snprintf(world->parent, sizeof world->parent, "/tmp/serverXXXXXX");
	assert_non_null(mkdtemp(world->parent));
	snprintf(world->folder, sizeof world->folder, "%s/keys", world->parent);
	snprintf(world->domain.name, sizeof world->domain.name, "td");
	clock_fake_init(&world->clock, clock_system.wall_ms(&clock_system)); /* the signer's is the system's */
	world->loop = loop_new(&world->clock.clock);
	struct issuer_options options = {.loop = world->loop,
		.key_folder = world->folder,
		.trust_domain = &world->domain,
		.max_leaf_ttl_s = 7 * 86400,
		.intermediate_life_s = 7 * 86400,
		.root_life_s = 365 * 86400,
		.policy = KEYS_MAY_BE_MADE,
		.on_lost = on_lost,
		.arg = world};
	assert_int_equal(issuer_start(&options, &world->issuer, NULL), ERR_NONE);
	issuer_introduce(world->issuer, &mark, on_introduced, world);
	wait_until_ready(world);
	world->identity = server_identity_new(world->loop, world->issuer, on_ready, world);
	wait_until_ready(world);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	server_identity_free(world->identity);
	issuer_free(world->issuer);
	loop_free(world->loop);
	_cleanup_(mem_freep) char *command = mem_printf("rm -rf %s", world->parent);
	assert_int_equal(system(command), 0);
	mem_free(world);
	return 0;
}

static bool is_replaced(struct world *world, const struct svid *before)
{
	clock_fake_advance(&world->clock, 2000); /* a moment later, as after any suspend */
	loop_run_once(world->loop, false);
	(void)server_identity_poll(world->identity);
	return WAIT_UNTIL(server_identity_svid(world->identity) != before, loop_run_once(world->loop, false));
}

/* A suspend of a day: the monotonic clock, and every timer with it, stood still. */
static void finding_i8_after_a_suspend_an_expired_certificate_is_not_presented_and_is_renewed(void **state)
{
	struct world *world = *state;
	struct svid *before = server_identity_svid(world->identity);
	assert_true(server_identity_poll(world->identity));
	world->clock.boot_ms += 25 * HOUR_MS;
	world->clock.wall_ms += 25 * HOUR_MS;
	assert_false(server_identity_is_usable(world->identity));
	assert_false(server_identity_poll(world->identity));
	assert_true(is_replaced(world, before));
}

static void finding_i8_either_clock_alone_makes_the_certificate_due(void **state)
{
	struct world *world = *state;
	struct svid *before = server_identity_svid(world->identity);
	world->clock.boot_ms += 13 * HOUR_MS; /* the wall clock was set back meanwhile */
	assert_true(server_identity_poll(world->identity));
	assert_true(is_replaced(world, before));
	before = server_identity_svid(world->identity);
	world->clock.wall_ms += 13 * HOUR_MS; /* and forward */
	assert_true(server_identity_poll(world->identity));
	assert_true(is_replaced(world, before));
}

static void finding_i8_judges_by_wall_and_boot_time(_unused_ void **state)
{
	const int64_t from = 1000000, to = from + 86400;
	assert_int_equal(server_identity_judge(from, to, from + 60, 0), SERVER_IDENTITY_GOOD);
	assert_int_equal(server_identity_judge(from, to, from + 43200, 0), SERVER_IDENTITY_DUE);
	assert_int_equal(server_identity_judge(from, to, from + 60, 43200 * 1000), SERVER_IDENTITY_DUE);
	assert_int_equal(server_identity_judge(from, to, from - 1, 0), SERVER_IDENTITY_DUE);
	assert_int_equal(server_identity_judge(from, to, to, 0), SERVER_IDENTITY_EXPIRED);
	assert_int_equal(server_identity_judge(from, to, from + 60, 86400 * 1000), SERVER_IDENTITY_EXPIRED);
	assert_int_equal(server_identity_judge(to, from, from, 0), SERVER_IDENTITY_EXPIRED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
const char *__asan_default_options(void);
const char *__asan_default_options(void) /* see issuer_test.c */
{
	return "detect_leaks=0";
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], SIGNER_COMMAND) == 0)
		return signer_main(argc, argv);
	const struct CMUnitTest tests[] = {
		TEST(finding_i8_after_a_suspend_an_expired_certificate_is_not_presented_and_is_renewed),
		TEST(finding_i8_either_clock_alone_makes_the_certificate_due),
		cmocka_unit_test(finding_i8_judges_by_wall_and_boot_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
