#include "base/core/mem.h"
#include "base/kube/kube_token.h"
#include "base/net/fd.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

struct world {
	struct kube_config config;
	struct kube_token token;
};

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	world->config.token_file = mem_printf("/tmp/handfast-kube-token-test-%d", getpid());
	kube_token_init(&world->token, &world->config);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	unlink(world->config.token_file);
	kube_token_done(&world->token);
	kube_config_done(&world->config);
	mem_free(world);
	return 0;
}

static void put(const struct world *world, const char *text)
{
	assert_int_equal(fd_write_file(world->config.token_file, span_of_str(text), 0600, NULL), ERR_NONE);
}

static void has(const struct world *world, const char *text)
{
	assert_true(span_eq(buf_span(&world->token.text), span_of_str(text)));
}

static void reads_the_file_anew_after_half_a_minute(void **state)
{
	struct world *world = *state;
	put(world, "one\n");
	assert_int_equal(kube_token_refresh(&world->token, 1000, false, NULL), ERR_NONE);
	has(world, "one");
	uint32_t generation = world->token.generation;
	put(world, "two");
	assert_int_equal(kube_token_refresh(&world->token, 30999, false, NULL), ERR_NONE);
	has(world, "one");
	assert_int_equal(kube_token_refresh(&world->token, 31000, false, NULL), ERR_NONE);
	has(world, "two");
	assert_int_equal(world->token.generation, generation + 1);
	assert_int_equal(kube_token_refresh(&world->token, 99000, false, NULL), ERR_NONE);
	assert_int_equal(world->token.generation, generation + 1); /* the same text */
}

static void reads_it_at_once_on_demand(void **state)
{
	struct world *world = *state;
	put(world, "one");
	assert_int_equal(kube_token_refresh(&world->token, 1000, false, NULL), ERR_NONE);
	put(world, "two");
	assert_int_equal(kube_token_refresh(&world->token, 1001, true, NULL), ERR_NONE);
	has(world, "two");
}

static void keeps_the_former_token_when_the_file_is_gone_or_empty(void **state)
{
	struct world *world = *state;
	put(world, "one");
	assert_int_equal(kube_token_refresh(&world->token, 1000, false, NULL), ERR_NONE);
	put(world, "\n");
	assert_int_equal(kube_token_refresh(&world->token, 1001, true, NULL), ERR_NONE);
	unlink(world->config.token_file);
	assert_int_equal(kube_token_refresh(&world->token, 1002, true, NULL), ERR_NONE);
	has(world, "one");
}

static void fails_without_a_token_ever(void **state)
{
	struct world *world = *state;
	struct why why = {0};
	assert_int_equal(kube_token_refresh(&world->token, 1000, false, &why), ERR_NOT_FOUND);
	put(world, "a token\nwith more behind");
	assert_int_equal(kube_token_refresh(&world->token, 1001, false, &why), ERR_MALFORMED);
	put(world, "one");
	assert_int_equal(kube_token_refresh(&world->token, 1002, false, &why), ERR_NONE); /* it asks again at once */
}

static void a_token_of_the_kubeconfig_itself_stays(void **state)
{
	(void)state;
	struct kube_config config = {.token = BUF_INIT(16)};
	struct kube_token token;
	assert_int_equal(buf_append_str(&config.token, "fixed"), ERR_NONE);
	kube_token_init(&token, &config);
	assert_int_equal(kube_token_refresh(&token, 1000, true, NULL), ERR_NONE);
	assert_true(span_eq(buf_span(&token.text), SPAN_LITERAL("fixed")));
	kube_token_done(&token);
	kube_config_done(&config);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(reads_the_file_anew_after_half_a_minute),
		CASE(reads_it_at_once_on_demand),
		CASE(keeps_the_former_token_when_the_file_is_gone_or_empty),
		CASE(fails_without_a_token_ever),
		cmocka_unit_test(a_token_of_the_kubeconfig_itself_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
