/* The engine against an etcd in memory: what a member loses, delays and compacts. */
#include "control/store/etcd/test_store_etcd.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

/* --- the ordinary case --- */

static void a_change_is_a_compare_and_swap(void **state)
{
	struct world *world = world_opened(state);
	assert_int_equal(world_swapped(world, "k1", 0, "a", 50), ERR_NONE);
	uint64_t first = world->version;
	assert_true(world_has(world, "k1", "a") && world_version_of(world, "k1") == first);
	assert_int_equal(world_swapped(world, "k1", 0, "b", 50), ERR_CONFLICT);
	assert_int_equal(world_swapped(world, "k1", first, "b", 50), ERR_NONE);
	assert_true(world->version > first && world_has(world, "k1", "b"));
	assert_int_equal(world_swapped(world, "k1", first, NULL, 50), ERR_CONFLICT);
	assert_int_equal(
		world_swapped(world, "k1", world->num_answers > 0 ? world_version_of(world, "k1") : 0, NULL, 50),
		ERR_NONE);
	assert_int_equal(world_version_of(world, "k1"), 0);
	assert_int_equal(world->num_changes, 3); /* once each, though the watch delivers them too */
}

static void what_another_control_plane_does_is_seen(void **state)
{
	struct world *world = world_opened(state);
	test_etcd_put("/hf/k1", "theirs");
	test_etcd_put("/other/k1", "not ours");
	world_pass(world, 50);
	assert_true(world_has(world, "k1", "theirs"));
	assert_int_equal(world_swapped(world, "k1", 0, "mine", 50), ERR_CONFLICT);
	test_etcd_put("/hf/k1", NULL);
	world_pass(world, 50);
	assert_int_equal(world_version_of(world, "k1"), 0);
	assert_int_equal(world->num_changes, 2);
}

static void a_large_state_is_read_in_pages(void **state)
{
	char key[32];
	for (unsigned i = 0; i < 450; i++) {
		snprintf(key, sizeof key, "/hf/k%03u", i);
		test_etcd_put(key, "x");
	}
	struct world *world = world_opened(state);
	assert_true(world_has(world, "k000", "x") && world_has(world, "k200", "x") && world_has(world, "k449", "x"));
	assert_true(test_etcd.num_ranges >= 3);
}

/* --- answers that are lost --- */

static void a_change_without_an_answer_is_found_again(void **state)
{
	struct world *world = world_opened(state);
	test_etcd.loses_answer = true;
	assert_int_equal(world_swapped(world, "k1", 0, "a", 400), ERR_NONE);
	assert_true(world_has(world, "k1", "a"));
	assert_true(test_etcd.num_connections == 2 && test_etcd.num_swaps >= 3);
	test_etcd.loses_answer = true;
	assert_int_equal(world_swapped(world, "k1", world_version_of(world, "k1"), NULL, 400), ERR_NONE);
	assert_int_equal(world_version_of(world, "k1"), 0);
}

static void the_same_value_of_another_writer_is_a_conflict(void **state)
{
	struct world *world = world_opened(state);
	test_etcd.is_watch_silent = true;
	test_etcd_put("/hf/k1", "a");
	assert_int_equal(world_swapped(world, "k1", 0, "a", 50), ERR_CONFLICT);
	assert_true(world_has(world, "k1", "a")); /* the answer had it */
}

static void without_an_answer_in_3_s_a_change_fails_and_reads_go_on(void **state)
{
	struct world *world = world_opened(state);
	assert_int_equal(world_swapped(world, "k1", 0, "a", 50), ERR_NONE);
	test_etcd.is_silent = true;
	world_swap(world, "k2", 0, "b");
	world_pass(world, 2500);
	assert_int_equal(world->num_answers, 1);
	world_pass(world, 700);
	assert_int_equal(world->last, ERR_IO);
	assert_int_equal(world_swapped(world, "k2", 0, "b", 400), ERR_IO); /* the next one does not wait as long */
	assert_int_equal(store_trouble(world->store)->err, ERR_IO);
	assert_true(world_has(world, "k1", "a"));
	test_etcd.is_silent = false;
	world_pass(world, 3000);
	assert_int_equal(world_swapped(world, "k2", 0, "b", 1000), ERR_NONE);
	assert_int_equal(store_trouble(world->store)->err, ERR_NONE);
}

/* The 3 s count from etcd's last answer: a renewal that comes late in an outage does not wait for them again. */
static void in_a_longer_outage_the_first_change_does_not_wait(void **state)
{
	struct world *world = world_opened(state);
	world_pass(world, 1000);
	test_etcd.is_silent = true;
	world_pass(world, 2000);
	assert_int_equal(world_swapped(world, "k1", 0, "a", 1700), ERR_IO);
	test_etcd.is_silent = false;
	world_pass(world, 3000);
	assert_int_equal(world_swapped(world, "k1", 0, "a", 300), ERR_NONE);
	test_etcd.is_silent = true;
	world_pass(world, 5000);
	assert_int_equal(world_swapped(world, "k2", 0, "a", 400), ERR_IO);
}

static void what_etcd_refuses_for_good_is_not_tried_again(void **state)
{
	struct world *world = world_opened(state);
	unsigned before = test_etcd.num_swaps;
	test_etcd.refuses_with = RPC_RESOURCE_EXHAUSTED;
	test_etcd.refusal = "etcdserver: mvcc: database space exceeded";
	assert_int_equal(world_swapped(world, "k1", 0, "a", 50), ERR_IO);
	assert_int_equal(test_etcd.num_swaps, before + 1);
	assert_non_null(strstr(store_trouble(world->store)->got, "space exceeded"));
	test_etcd.refusal = "etcdserver: too many requests";
	world_swap(world, "k1", 0, "a");
	world_pass(world, 300);
	assert_true(test_etcd.num_swaps > before + 2);
	test_etcd.refuses_with = RPC_OK;
	world_pass(world, 300);
	assert_int_equal(world->last, ERR_NONE);
}

/* --- the user --- */

static void a_token_that_is_not_valid_any_more_fails_no_change(void **state)
{
	struct world *world = world_opened(state);
	test_etcd.refuses_with = RPC_UNAUTHENTICATED;
	test_etcd.refusal = "etcdserver: invalid auth token";
	world_swap(world, "k1", 0, "a");
	world_pass(world, 30);
	test_etcd.refuses_with = RPC_OK; /* the next connection has another one */
	world_pass(world, 300);
	assert_int_equal(world->num_answers, 1);
	assert_int_equal(world->last, ERR_NONE);
	assert_true(test_etcd.num_connections >= 2);
	assert_int_equal(test_etcd.num_watches, test_etcd.num_connections);
}

static void a_denied_permission_is_an_error_at_once(void **state)
{
	struct world *world = world_opened(state);
	test_etcd.refuses_with = RPC_PERMISSION_DENIED;
	test_etcd.refusal = "etcdserver: permission denied";
	assert_int_equal(world_swapped(world, "k1", 0, "a", 50), ERR_IO);
	assert_non_null(strstr(store_trouble(world->store)->fix, "grant-permission"));
	test_etcd.refuses_with = RPC_OK;
	assert_int_equal(world_swapped(world, "k1", 0, "a", 300), ERR_NONE);
	assert_int_equal(store_trouble(world->store)->err, ERR_NONE);
}

/* The link has logged in while etcd's authentication was off: calls that are denied go over a connection with a token.
 */
static void authentication_may_be_enabled_meanwhile(void **state)
{
	struct world *world = world_opened(state);
	test_etcd.is_logged_in = false;
	test_etcd.refuses_with = RPC_PERMISSION_DENIED;
	test_etcd.refusal = "etcdserver: permission denied";
	world_swap(world, "k1", 0, "a");
	world_pass(world, 30);
	test_etcd.is_logged_in = true;
	test_etcd.refuses_with = RPC_OK;
	world_pass(world, 300);
	assert_int_equal(world->last, ERR_NONE);
	assert_int_equal(world->num_answers, 1);
}

static void a_start_ends_at_once_without_permission(void **state)
{
	struct world *world = *state;
	struct why why = {0};
	test_etcd.refuses_ranges_with = RPC_PERMISSION_DENIED;
	test_etcd.refusal = "etcdserver: permission denied";
	assert_int_equal(world_open_store(world, false, &why), ERR_DENIED); /* with a clock that stands still */
	assert_non_null(strstr(why.expected, "the prefix /hf/"));
}

/* --- the watch --- */

static void after_a_new_connection_nothing_is_missed_or_doubled(void **state)
{
	struct world *world = world_opened(state);
	test_etcd_put("/hf/k1", "a");
	world_pass(world, 50);
	test_etcd_cut();
	test_etcd.is_watch_silent = true; /* it is cut: these come by the next one */
	test_etcd_put("/hf/k1", "b");
	test_etcd_put("/hf/k2", "c");
	test_etcd.is_watch_silent = false;
	world_pass(world, 300);
	assert_true(world_has(world, "k1", "b") && world_has(world, "k2", "c"));
	assert_int_equal(world->num_changes, 3);
	assert_int_equal(test_etcd.num_watches, 2);
}

static void a_compacted_revision_is_read_anew(void **state)
{
	struct world *world = world_opened(state);
	test_etcd_put("/hf/k1", "a");
	test_etcd_put("/hf/k2", "a");
	world_pass(world, 50);
	test_etcd_cut();
	test_etcd.is_watch_silent = true;
	test_etcd_put("/hf/k1", "b");
	test_etcd_put("/hf/k2", NULL);
	test_etcd_put("/hf/k3", "c");
	test_etcd.compacted = test_etcd.revision;
	test_etcd.is_watch_silent = false;
	world_pass(world, 500);
	assert_true(world_has(world, "k1", "b") && world_version_of(world, "k2") == 0 && world_has(world, "k3", "c"));
	assert_int_equal(world_swapped(world, "k1", world_version_of(world, "k1"), "d", 100), ERR_NONE);
}

static void a_stalled_watch_is_left(void **state)
{
	struct world *world = world_opened(state);
	world_pass(world, 2000);
	assert_int_equal(test_etcd.num_connections, 1);
	test_etcd.is_watch_silent = true;
	test_etcd_put("/hf/k1", "a");
	world_pass(world, 1500);
	test_etcd.is_watch_silent = false; /* the next watch */
	world_pass(world, 3000);
	assert_int_equal(test_etcd.num_connections, 2);
	assert_true(world_has(world, "k1", "a"));
}

static void a_member_that_is_silent_is_left_in_time(void **state)
{
	struct world *world = world_opened(state);
	world_pass(world, 600);
	test_etcd.is_silent = true;
	world_pass(world, 1600); /* at most half a second, and one */
	assert_true(test_etcd.num_connections >= 2);
}

static void a_value_without_a_writer_is_ignored(void **state)
{
	struct world *world = world_opened(state);
	test_etcd_put("/hf/k1", "a");
	buf_consume(&test_etcd.records[test_etcd.num_records - 1].value, 3);
	test_etcd_cut();
	test_etcd.compacted = test_etcd.revision;
	world_pass(world, 500);
	assert_int_equal(world_version_of(world, "k2"), 0);
	test_etcd_put("/hf/k2", "b");
	world_pass(world, 100);
	assert_true(world_has(world, "k2", "b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_change_is_a_compare_and_swap),
		WORLD_TEST(what_another_control_plane_does_is_seen),
		WORLD_TEST(a_large_state_is_read_in_pages),
		WORLD_TEST(a_change_without_an_answer_is_found_again),
		WORLD_TEST(the_same_value_of_another_writer_is_a_conflict),
		WORLD_TEST(without_an_answer_in_3_s_a_change_fails_and_reads_go_on),
		WORLD_TEST(in_a_longer_outage_the_first_change_does_not_wait),
		WORLD_TEST(what_etcd_refuses_for_good_is_not_tried_again),
		WORLD_TEST(a_token_that_is_not_valid_any_more_fails_no_change),
		WORLD_TEST(a_denied_permission_is_an_error_at_once),
		WORLD_TEST(authentication_may_be_enabled_meanwhile),
		WORLD_TEST(a_start_ends_at_once_without_permission),
		WORLD_TEST(after_a_new_connection_nothing_is_missed_or_doubled),
		WORLD_TEST(a_compacted_revision_is_read_anew),
		WORLD_TEST(a_stalled_watch_is_left),
		WORLD_TEST(a_member_that_is_silent_is_left_in_time),
		WORLD_TEST(a_value_without_a_writer_is_ignored),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
