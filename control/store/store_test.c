#include "base/core/mem.h"
#include "base/core/test_wait.h"
#include "control/store/store.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka requires the four above */
#include <cmocka.h>

struct world {
	struct loop *loop;
	struct store *store;
	char folder[64], path[80];
	unsigned num_done, num_conflicts;
	enum err last_err;
	uint64_t last_version;
};

static void open_store(struct world *world)
{
	struct why why = {0};
	enum err err = store_open(world->loop, world->path, &world->store, &why);
	if (err != ERR_NONE)
		print_error("%s: %s\n", why.expected, why.got);
	assert_int_equal(err, ERR_NONE);
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	snprintf(world->folder, sizeof world->folder, "/tmp/storeXXXXXX");
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->path, sizeof world->path, "%s/db", world->folder);
	world->loop = loop_new(&clock_system);
	open_store(world);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	if (world->store != NULL)
		store_close(world->store);
	loop_run_once(world->loop, false);
	loop_free(world->loop);
	_cleanup_(mem_freep) char *command = mem_printf("rm -rf %s", world->folder);
	assert_int_equal(system(command), 0);
	mem_free(world);
	return 0;
}

static void on_done(void *arg, enum err err, uint64_t version)
{
	struct world *world = arg;
	world->num_done++;
	world->num_conflicts += err == ERR_CONFLICT;
	world->last_err = err;
	world->last_version = version;
}

static enum err swap(struct world *world, const char *key, uint64_t expected, const char *value)
{
	unsigned before = world->num_done;
	struct span bytes = value == NULL ? span_of(NULL, 0) : span_of_str(value);
	store_swap(world->store, key, expected, bytes, on_done, world);
	while (world->num_done == before)
		loop_run_once(world->loop, true);
	return world->last_err;
}

static void assert_holds(struct world *world, const char *key, const char *value)
{
	struct store_value got;
	assert_true(store_get(world->store, key, &got));
	assert_true(span_eq(got.bytes, span_of_str(value)));
}

static void returns_stored_values_also_after_reopening(void **state)
{
	struct world *world = *state;
	uint64_t incarnation = store_incarnation(world->store);
	assert_int_equal(swap(world, "a/1", 0, "one"), ERR_NONE);
	assert_holds(world, "a/1", "one");
	store_close(world->store);
	open_store(world);
	assert_holds(world, "a/1", "one");
	assert_true(incarnation != 0 && incarnation == store_incarnation(world->store));
}

static bool is_one(struct span bytes)
{
	return span_eq(bytes, SPAN_LITERAL("one"));
}

static bool is_one_of(void *arg, const char *key, struct span bytes)
{
	unsigned *num_asked = arg;
	assert_true(strncmp(key, "a/", 2) == 0);
	++*num_asked;
	return is_one(bytes);
}

static void prunes_up_to_the_maximum(void **state)
{
	struct world *world = *state;
	struct store_value got;
	unsigned num_asked = 0;
	assert_int_equal(swap(world, "a/1", 0, "one"), ERR_NONE);
	assert_int_equal(swap(world, "a/2", 0, "two"), ERR_NONE);
	assert_int_equal(swap(world, "a/3", 0, "one"), ERR_NONE);
	assert_int_equal(swap(world, "b/1", 0, "one"), ERR_NONE);
	assert_int_equal(store_prune(world->store, "a/", 1, is_one_of, &num_asked), 1);
	assert_true(WAIT_UNTIL(!store_get(world->store, "a/1", &got), loop_run_once(world->loop, false)));
	assert_int_equal(store_prune(world->store, "a/", 9, is_one_of, &num_asked), 1);
	assert_true(WAIT_UNTIL(!store_get(world->store, "a/3", &got), loop_run_once(world->loop, false)));
	assert_holds(world, "a/2", "two");
	assert_holds(world, "b/1", "one");
	assert_int_equal(num_asked, 3);
}

static void finding_i7_removes_expired_records_before_it_starts(void **state)
{
	struct world *world = *state;
	struct store_value got;
	struct why why = {0};
	size_t num = 0;
	assert_int_equal(swap(world, "a/1", 0, "one"), ERR_NONE);
	assert_int_equal(swap(world, "a/2", 0, "two"), ERR_NONE);
	assert_int_equal(swap(world, "a/3", 0, "one"), ERR_NONE);
	assert_int_equal(swap(world, "b/1", 0, "one"), ERR_NONE);
	uint64_t revision = store_revision(world->store);
	store_close(world->store);
	assert_int_equal(store_load(world->loop, world->path, &world->store, &why), ERR_NONE);
	assert_int_equal(store_drop(world->store, "a/", is_one, &num, &why), ERR_NONE);
	assert_int_equal(num, 2);
	assert_int_equal(store_revision(world->store), revision + 2);
	store_close(world->store);
	open_store(world);
	assert_false(store_get(world->store, "a/1", &got));
	assert_false(store_get(world->store, "a/3", &got));
	assert_holds(world, "a/2", "two");
	assert_holds(world, "b/1", "one");
	assert_int_equal(store_revision(world->store), revision + 2);
}

static void finding_i7_refuses_to_merge_from_an_empty_file(void **state)
{
	struct world *world = *state;
	_cleanup_(mem_freep) char *path = mem_printf("%s-empty", world->path);
	struct stat file;
	struct why why = {0};
	size_t num = 0;
	store_close(world->store);
	assert_int_equal(store_load(world->loop, world->path, &world->store, &why), ERR_NONE);
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(store_merge(world->store, path, "a/", &num, &why), ERR_STATE_DAMAGED);
	assert_non_null(strstr(why.got, "is empty"));
	assert_int_equal(stat(path, &file), 0);
	assert_int_equal(file.st_size, 0);
	unlink(path);
}

static void refuses_a_swap_against_an_old_version(void **state)
{
	struct world *world = *state;
	assert_int_equal(swap(world, "k", 0, "1"), ERR_NONE);
	uint64_t first = world->last_version;
	assert_int_equal(swap(world, "k", 0, "2"), ERR_CONFLICT);
	assert_int_equal(swap(world, "k", first, "2"), ERR_NONE);
	assert_int_equal(swap(world, "k", first, "3"), ERR_CONFLICT);
	assert_holds(world, "k", "2");
}

static void distinguishes_a_key_made_again_from_the_previous_one(void **state)
{
	struct world *world = *state;
	assert_int_equal(swap(world, "k", 0, "1"), ERR_NONE);
	uint64_t first = world->last_version;
	assert_int_equal(swap(world, "k", first, NULL), ERR_NONE);
	struct store_value got;
	assert_false(store_get(world->store, "k", &got));
	assert_int_equal(swap(world, "k", 0, "1"), ERR_NONE);
	assert_int_equal(swap(world, "k", first, "stale"), ERR_CONFLICT);
}

static void W10_of_fifty_swaps_at_once_exactly_one_wins(void **state)
{
	struct world *world = *state;
	for (int i = 0; i < 50; i++)
		store_swap(world->store, "token/x", 0, SPAN_LITERAL("mine"), on_done, world);
	while (world->num_done < 50)
		loop_run_once(world->loop, true);
	assert_int_equal(world->num_conflicts, 49);
}

static void collect(void *arg, const char *key, _unused_ const struct store_value *value)
{
	strncat(arg, key, 3);
}

static void lists_by_prefix_in_order(void **state)
{
	struct world *world = *state;
	const char *keys[] = {"b/2", "a/1", "b/1", "c/1", "b/3"};
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(swap(world, keys[i], 0, "v"), ERR_NONE);
	char all[64] = "";
	store_list(world->store, "b/", collect, all);
	assert_string_equal(all, "b/1b/2b/3");
}

struct counting_watch {
	struct store_watch watch;
	unsigned num_puts, num_removals;
	bool stops_itself;
};

static void on_change(struct store_watch *watch, _unused_ const char *key, const struct store_value *value)
{
	struct counting_watch *counting = container_of(watch, struct counting_watch, watch);
	if (value == NULL)
		counting->num_removals++;
	else
		counting->num_puts++;
	if (counting->stops_itself)
		store_watch_stop(watch);
}

static void calls_watches_for_their_prefix_only(void **state)
{
	struct world *world = *state;
	struct counting_watch all = {0}, once = {.stops_itself = true};
	store_watch_start(world->store, &all.watch, "a/", on_change);
	store_watch_start(world->store, &once.watch, "a/", on_change);
	assert_int_equal(swap(world, "a/1", 0, "1"), ERR_NONE);
	assert_int_equal(swap(world, "b/1", 0, "1"), ERR_NONE);
	store_swap(world->store, "a/1", 1, span_of(NULL, 0), on_done, world);
	while (world->num_done < 3)
		loop_run_once(world->loop, true);
	assert_int_equal(all.num_puts, 1);
	assert_int_equal(all.num_removals, 1);
	assert_int_equal(once.num_puts, 1);
	assert_int_equal(once.num_removals, 0);
	store_watch_stop(&all.watch);
}

static void overwrite(const char *path, long offset, const char *bytes, size_t len)
{
	FILE *file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, offset, offset < 0 ? SEEK_END : SEEK_SET), 0);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	fclose(file);
}

static void C17_reports_damage_and_overwrites_nothing_when_the_file_is_not_a_store(void **state)
{
	struct world *world = *state;
	store_close(TAKE_PTR(world->store));
	overwrite(world->path, 0, "this was never a database, was it?", 34);
	struct why why = {0};
	struct stat before, after;
	stat(world->path, &before);
	assert_int_equal(store_open(world->loop, world->path, &world->store, &why), ERR_STATE_DAMAGED);
	stat(world->path, &after);
	assert_int_equal(before.st_size, after.st_size);
	assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim);
}

static size_t read_file(const char *path, char *out, size_t cap)
{
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	size_t len = fread(out, 1, cap, file);
	fclose(file);
	return len;
}

/* A wrong state folder: the database of another program keeps its bytes and its journal mode. */
static void finding_i3_another_programs_database_is_not_touched(void **state)
{
	struct world *world = *state;
	static char before[65536], after[65536];
	struct why why = {0};
	store_close(TAKE_PTR(world->store));
	loop_run_once(world->loop, false);
	overwrite(world->path, 18, "\1\1", 2); /* a rollback journal, no WAL */
	overwrite(world->path, 68, "mine", 4); /* its application id */
	size_t len = read_file(world->path, before, sizeof before);
	assert_int_equal(store_open(world->loop, world->path, &world->store, &why), ERR_STATE_DAMAGED);
	assert_int_equal(read_file(world->path, after, sizeof after), len);
	assert_memory_equal(before, after, len);
}

static void C17_reports_damage_when_a_bit_of_a_value_flipped(void **state)
{
	struct world *world = *state;
	assert_int_equal(swap(world, "k", 0, "FLIPME"), ERR_NONE);
	store_close(TAKE_PTR(world->store));
	loop_run_once(world->loop, false);
	char content[65536];
	FILE *file = fopen(world->path, "r");
	size_t len = fread(content, 1, sizeof content, file);
	fclose(file);
	char *at = memmem(content, len, "FLIPME", 6);
	assert_non_null(at);
	overwrite(world->path, at - content, "G", 1);
	struct why why = {0};
	assert_int_equal(store_open(world->loop, world->path, &world->store, &why), ERR_STATE_DAMAGED);
}

static void refuses_a_file_that_others_may_read(void **state)
{
	struct world *world = *state;
	struct stat file;
	assert_int_equal(stat(world->path, &file), 0);
	assert_int_equal(file.st_mode & 0777, 0600);
	store_close(TAKE_PTR(world->store));
	assert_int_equal(chmod(world->path, 0644), 0);
	struct why why = {0};
	assert_int_equal(store_open(world->loop, world->path, &world->store, &why), ERR_CONFIG);
}

static void C17_C20_refuses_a_file_that_another_control_plane_has_open(void **state)
{
	struct world *world = *state;
	pid_t pid = fork();
	if (pid == 0) {
		struct loop *loop = loop_new(&clock_system);
		struct store *second;
		struct why why = {0};
		_exit(store_open(loop, world->path, &second, &why) == ERR_EXISTS ? 7 : 1);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void child_is_killed_after_its_answer(const struct world *world)
{
	struct world child = *world;
	child.loop = loop_new(&clock_system);
	open_store(&child);
	if (swap(&child, "durable", 0, "yes") == ERR_NONE)
		kill(getpid(), SIGKILL);
	_exit(1);
}

static void W10_an_answered_change_survives_kill_9(void **state)
{
	struct world *world = *state;
	store_close(TAKE_PTR(world->store));
	pid_t pid = fork();
	if (pid == 0)
		child_is_killed_after_its_answer(world);
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	open_store(world);
	assert_holds(world, "durable", "yes");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(returns_stored_values_also_after_reopening),
		TEST(prunes_up_to_the_maximum),
		TEST(finding_i7_removes_expired_records_before_it_starts),
		TEST(finding_i7_refuses_to_merge_from_an_empty_file),
		TEST(refuses_a_swap_against_an_old_version),
		TEST(distinguishes_a_key_made_again_from_the_previous_one),
		TEST(W10_of_fifty_swaps_at_once_exactly_one_wins),
		TEST(lists_by_prefix_in_order),
		TEST(calls_watches_for_their_prefix_only),
		TEST(C17_reports_damage_and_overwrites_nothing_when_the_file_is_not_a_store),
		TEST(finding_i3_another_programs_database_is_not_touched),
		TEST(C17_reports_damage_when_a_bit_of_a_value_flipped),
		TEST(refuses_a_file_that_others_may_read),
		TEST(C17_C20_refuses_a_file_that_another_control_plane_has_open),
		TEST(W10_an_answered_change_survives_kill_9),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
