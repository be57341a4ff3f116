/* Whose state it is: another cluster, an older copy, a new incarnation. */
#include "control/store/etcd/test_store_etcd.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

/* --- another etcd --- */

static void a_revision_that_goes_back_is_refused(void **state)
{
	struct world *world = world_opened(state);
	test_etcd_put("/hf/k1", "a");
	test_etcd_put("/hf/k1", "b");
	world_pass(world, 600);
	test_etcd.revision -= 2; /* restored from a backup */
	test_etcd_forget_newest(2);
	world_swap(world, "k2", 0, "c");
	world_pass(world, 5200);
	assert_int_equal(world->last, ERR_IO);
	assert_non_null(strstr(store_trouble(world->store)->got, "restored from a backup"));
	assert_true(world_has(world, "k1", "b"));
}

static void members_of_another_cluster_are_refused(void **state)
{
	struct world *world = world_opened(state);
	test_etcd.cluster = 8;
	world_pass(world, 600);
	world_swap(world, "k2", 0, "c");
	world_pass(world, 5200);
	assert_int_equal(world->last, ERR_IO);
	assert_non_null(strstr(store_trouble(world->store)->got, "cluster 8"));
}

static void records_of_another_cluster_need_an_operators_word(void **state)
{
	struct world *world = world_opened(state);
	uint64_t incarnation = store_incarnation(world->store);
	struct why why = {0};
	assert_true(incarnation != 0);
	store_watch_stop(&world->watch);
	store_close(TAKE_PTR(world->store));
	test_etcd.cluster = 9;
	assert_int_equal(world_open_store(world, false, &why), ERR_STATE_DAMAGED);
	assert_non_null(strstr(why.fix, "restore"));
	assert_int_equal(world_open_store(world, true, &why), ERR_NONE);
	assert_int_equal(store_incarnation(world->store), incarnation);
	assert_int_equal(store_begin_incarnation(world->store, &why), ERR_NONE);
	assert_true(store_incarnation(world->store) != incarnation);
	store_watch_stop(&world->watch);
	store_close(TAKE_PTR(world->store));
	assert_int_equal(world_open_store(world, false, &why), ERR_NONE);
}

static void a_new_incarnation_stops_the_changes_of_this_process(void **state)
{
	struct world *world = world_opened(state);
	test_etcd_put("/hf/store/incarnation", "incarnation=0100000000000000\ncluster=0700000000000000\n");
	world_pass(world, 100);
	assert_int_equal(world_swapped(world, "k1", 0, "a", 50), ERR_IO);
	assert_non_null(strstr(store_trouble(world->store)->got, "incarnation"));
}

static void one_that_slept_during_a_restore_changes_nothing(void **state)
{
	struct world *world = world_opened(state);
	assert_int_equal(world_swapped(world, "k1", 0, "a", 50), ERR_NONE);
	test_etcd.is_watch_silent = true; /* no event of it has come yet */
	test_etcd_put("/hf/store/incarnation", "incarnation=0100000000000000\ncluster=0700000000000000\n");
	assert_int_equal(world_swapped(world, "k1", world_version_of(world, "k1"), "b", 50), ERR_IO);
	assert_non_null(strstr(store_trouble(world->store)->got, "incarnation"));
	assert_int_equal(world_swapped(world, "k1", world_version_of(world, "k1"), NULL, 50), ERR_IO);
	assert_int_equal(world_swapped(world, "k2", 0, "a", 50), ERR_IO);
	assert_true(world_has(world, "k1", "a"));
}

static void one_that_slept_creates_nothing(void **state)
{
	struct world *world = world_opened(state);
	test_etcd.is_watch_silent = true;
	test_etcd_put("/hf/store/incarnation", "incarnation=0100000000000000\ncluster=0700000000000000\n");
	assert_int_equal(world_swapped(world, "k2", 0, "a", 50), ERR_IO);
	assert_non_null(strstr(store_trouble(world->store)->got, "incarnation"));
}

/* --- a restore --- */

static void write_state_folder(struct world *world, const char *path)
{
	struct store *file = NULL;
	struct why why = {0};
	assert_int_equal(store_open(world->loop, path, &file, &why), ERR_NONE);
	store_swap(file, "ban/one", 0, SPAN_LITERAL("theirs"), NULL, NULL);
	store_swap(file, "ban/two", 0, SPAN_LITERAL("theirs"), NULL, NULL);
	store_swap(file, "claim/one", 0, SPAN_LITERAL("theirs"), NULL, NULL);
	store_close(file); /* after these commits */
	loop_run_once(world->loop, false);
}

static void bans_of_a_state_folder_are_taken_over(void **state)
{
	struct world *world = world_opened(state);
	char path[] = "/tmp/storeXXXXXX", lock[40];
	struct why why = {0};
	size_t num = 0;
	int fd = mkstemp(path);
	assert_true(fd >= 0 && close(fd) == 0);
	write_state_folder(world, path);
	assert_int_equal(world_swapped(world, "ban/two", 0, "mine", 50), ERR_NONE);
	assert_int_equal(store_merge(world->store, path, "ban/", &num, &why), ERR_NONE);
	assert_int_equal(num, 1);
	assert_true(world_has(world, "ban/one", "theirs") && world_has(world, "ban/two", "mine"));
	assert_int_equal(world_version_of(world, "claim/one"), 0);
	snprintf(lock, sizeof lock, "%s.lock", path);
	unlink(lock);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_revision_that_goes_back_is_refused),
		WORLD_TEST(members_of_another_cluster_are_refused),
		WORLD_TEST(records_of_another_cluster_need_an_operators_word),
		WORLD_TEST(a_new_incarnation_stops_the_changes_of_this_process),
		WORLD_TEST(one_that_slept_during_a_restore_changes_nothing),
		WORLD_TEST(one_that_slept_creates_nothing),
		WORLD_TEST(bans_of_a_state_folder_are_taken_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
