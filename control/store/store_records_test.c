/* The engine against an API server of a few lines (test_records.h): it can lose an answer, delay the watch and let
 * another replica write. test/kube runs the same engine against the real one. */
#include "base/core/mem.h"
#include "control/store/record_object.h"
#include "control/store/store_records.h"
#include "control/store/test_records.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the four above */
#include <cmocka.h>

struct world {
	struct store *store;
	unsigned num_done;
	enum err err;
	uint64_t version;
};

static void open_store(struct world *world)
{
	assert_int_equal(store_open_records(server.loop, NULL, "handfast-system", &world->store, NULL), ERR_NONE);
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	test_records_start(loop_new(&clock_system));
	open_store(world);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	store_close(world->store);
	loop_run_once(server.loop, false);
	loop_free(server.loop);
	test_records_end();
	mem_free(world);
	return 0;
}

static void on_done(void *arg, enum err err, uint64_t version)
{
	struct world *world = arg;
	world->num_done++;
	loop_stop(server.loop);
	world->err = err;
	world->version = version;
}

static enum err swap(struct world *world, const char *key, uint64_t expected, const char *value)
{
	unsigned before = world->num_done;
	store_swap(world->store, key, expected, value == NULL ? span_of(NULL, 0) : span_of_str(value), on_done, world);
	assert_int_equal(world->num_done, before);
	loop_run(server.loop);
	return world->err;
}

static void assert_holds(struct world *world, const char *key, const char *value)
{
	struct store_value got;
	assert_int_equal(store_get(world->store, key, &got), value != NULL);
	if (value != NULL)
		assert_true(span_eq(got.bytes, span_of_str(value)));
}

static void changes_are_swapped_by_version(void **state)
{
	struct world *world = *state;
	assert_int_equal(swap(world, "a", 0, "one"), ERR_NONE);
	uint64_t first = world->version;
	assert_holds(world, "a", "one");
	assert_int_equal(swap(world, "a", 0, "again"), ERR_CONFLICT);
	assert_int_equal(swap(world, "a", first, "two"), ERR_NONE);
	assert_true(world->version > first);
	assert_int_equal(swap(world, "a", first, "three"), ERR_CONFLICT);
	assert_holds(world, "a", "two");
	struct store_value value;
	assert_true(store_get(world->store, "a", &value));
	assert_int_equal(swap(world, "a", value.version, NULL), ERR_NONE);
	assert_holds(world, "a", NULL);
}

static void the_content_and_the_incarnation_outlive_the_process(void **state)
{
	struct world *world = *state;
	uint64_t incarnation = store_incarnation(world->store);
	assert_true(incarnation != 0);
	assert_int_equal(swap(world, "a", 0, "one"), ERR_NONE);
	store_close(world->store);
	open_store(world);
	assert_holds(world, "a", "one");
	assert_true(store_incarnation(world->store) == incarnation);
}

static void a_conflict_shows_what_another_replica_wrote(void **state)
{
	struct world *world = *state;
	assert_int_equal(swap(world, "a", 0, "mine"), ERR_NONE);
	uint64_t version = world->version;
	server.watch_is_late = true;
	test_records_write("a", "theirs");
	assert_int_equal(swap(world, "a", version, "mine again"), ERR_CONFLICT);
	assert_holds(world, "a", "theirs");
	struct store_value value;
	assert_true(store_get(world->store, "a", &value));
	uint64_t known = value.version;
	test_records_write("a", NULL);
	assert_int_equal(swap(world, "a", known, "mine again"), ERR_CONFLICT);
	assert_holds(world, "a", NULL);
}

static void a_lost_answer_is_found_out(void **state)
{
	struct world *world = *state;
	server.fault = FAULT_LOST_ANSWER;
	server.num_faults = 1;
	assert_int_equal(swap(world, "a", 0, "one"), ERR_NONE);
	assert_holds(world, "a", "one");
	server.num_faults = 1;
	assert_int_equal(swap(world, "a", world->version, "two"), ERR_NONE);
	assert_holds(world, "a", "two");
	server.num_faults = 1;
	assert_int_equal(swap(world, "a", world->version, NULL), ERR_NONE);
	assert_holds(world, "a", NULL);
}

static void a_lost_request_is_sent_again(void **state)
{
	struct world *world = *state;
	server.fault = FAULT_LOST_REQUEST;
	server.num_faults = 1;
	assert_int_equal(swap(world, "a", 0, "one"), ERR_NONE);
	assert_holds(world, "a", "one");
}

static void failures_end_with_a_reason(void **state)
{
	struct world *world = *state;
	struct why why = {0};
	server.fault = FAULT_LOST_REQUEST;
	server.num_faults = 100;
	assert_int_equal(swap(world, "a", 0, "one"), ERR_IO);
	assert_holds(world, "a", NULL);
	store_explain(world->store, ERR_IO, &why);
	assert_string_equal(why.got, "it is away");
	server.fault = FAULT_STATUS;
	server.fault_status = 403;
	server.num_faults = 1;
	assert_int_equal(swap(world, "a", 0, "one"), ERR_IO);
	store_explain(world->store, ERR_IO, &why);
	assert_non_null(strstr(why.got, "403"));
	server.fault_status = 503;
	server.num_faults = 1;
	assert_int_equal(swap(world, "a", 0, "one"), ERR_NONE);
	assert_int_equal(store_trouble(world->store)->err, ERR_NONE);
}

static void a_value_that_is_no_text_ends_with_an_error(void **state)
{
	struct world *world = *state;
	assert_int_equal(swap(world, "a", 0, "\xff"), ERR_IO);
	assert_holds(world, "a", NULL);
}

static void an_older_event_does_not_bring_back_what_was_removed(void **state)
{
	struct world *world = *state;
	server.watch_is_late = true;
	assert_int_equal(swap(world, "a", 0, "one"), ERR_NONE);
	char name[RECORD_NAME_LEN];
	record_object_name("a", name);
	json_t *older = json_deep_copy(server.objects[test_records_slot(name)]);
	assert_int_equal(swap(world, "a", world->version, NULL), ERR_NONE);
	server.observer.on_object(server.observer.arg, KUBE_PUT, older);
	assert_holds(world, "a", NULL);
	json_decref(older);
	server.watch_is_late = false;
	test_records_write("a", "anew");
	assert_holds(world, "a", "anew");
}

static void a_new_state_drops_what_others_removed_and_keeps_own_changes(void **state)
{
	struct world *world = *state;
	assert_int_equal(swap(world, "old", 0, "1"), ERR_NONE);
	server.watch_is_late = true;
	test_records_write("old", NULL);
	server.snapshot = server.version;
	server.observer.on_begin(server.observer.arg);
	assert_int_equal(swap(world, "own", 0, "2"), ERR_NONE);
	server.observer.on_synced(server.observer.arg);
	assert_holds(world, "old", NULL);
	assert_holds(world, "own", "2");
}

static void a_restored_api_server_holds_although_its_versions_are_lower(void **state)
{
	struct world *world = *state;
	assert_int_equal(swap(world, "kept", 0, "new"), ERR_NONE);
	assert_int_equal(swap(world, "ban/x", 0, "1"), ERR_NONE);
	assert_int_equal(swap(world, "lost", 0, "1"), ERR_NONE);
	assert_int_equal(swap(world, "lost", world->version, "2"), ERR_NONE);
	struct store_value value;
	server.watch_is_late = true;
	test_records_write("lost", NULL);
	server.version = 1; /* as it was before */
	test_records_write("kept", "old");
	test_records_write("ban/x", NULL);
	test_records_write("then", "back");
	test_records_send_state();
	assert_holds(world, "kept", "old");
	assert_holds(world, "ban/x", NULL);
	assert_holds(world, "lost", NULL); /* although its version is above that of the state */
	assert_holds(world, "then", "back");
	assert_true(store_get(world->store, "kept", &value));
	server.watch_is_late = false;
	assert_int_equal(swap(world, "kept", value.version, "newer"), ERR_NONE);
	assert_holds(world, "kept", "newer");
}

static void what_another_replica_removed_while_the_watch_was_behind_is_gone(void **state)
{
	struct world *world = *state;
	server.watch_is_late = true;
	assert_int_equal(swap(world, "ban/x", 0, "1"), ERR_NONE); /* newer than all that the watch has brought */
	test_records_write("ban/x", NULL);
	test_records_send_state();
	assert_holds(world, "ban/x", NULL);
}

/* The state is of before the change, and comes after its answer. */
static void a_state_that_is_older_than_an_own_change_does_not_undo_it(void **state)
{
	struct world *world = *state;
	assert_int_equal(swap(world, "gone", 0, "1"), ERR_NONE);
	server.snapshot = server.version;
	server.watch_is_late = true;
	assert_int_equal(swap(world, "ban/x", 0, "1"), ERR_NONE);
	uint64_t version = world->version;
	assert_int_equal(swap(world, "ban/x", version, "2"), ERR_NONE);
	test_records_send_state();
	assert_holds(world, "ban/x", "2");
	assert_holds(world, "gone", "1");
	server.snapshot = 0;
	test_records_send_state();
	assert_holds(world, "ban/x", "2");
}

static void a_state_that_is_older_than_an_own_removal_does_not_undo_it(void **state)
{
	struct world *world = *state;
	assert_int_equal(swap(world, "gone", 0, "1"), ERR_NONE);
	json_t *before = json_deep_copy(server.objects[1]);
	uint64_t version = world->version;
	server.snapshot = server.version;
	server.watch_is_late = true;
	assert_int_equal(swap(world, "gone", version, NULL), ERR_NONE);
	assert_null(server.objects[1]);
	server.objects[1] = before; /* as in the snapshot */
	test_records_send_state();
	assert_holds(world, "gone", NULL);
	json_decref(before);
	server.objects[1] = NULL;
}

/* The events of a change and of its removal by another replica come before the answer to the change. */
static void an_answer_does_not_bring_back_what_was_removed_since(void **state)
{
	struct world *world = *state;
	unsigned before = world->num_done;
	store_swap(world->store, "a", 0, SPAN_LITERAL("one"), on_done, world);
	test_records_write("a", NULL);
	assert_int_equal(world->num_done, before);
	loop_run(server.loop);
	assert_int_equal(world->err, ERR_NONE);
	assert_holds(world, "a", NULL);
}

static void on_change(struct store_watch *watch, _unused_ const char *key, _unused_ const struct store_value *value)
{
	(void)watch;
	server.num_requests += 1000;
}

static void watches_see_the_changes_of_other_replicas(void **state)
{
	struct world *world = *state;
	struct store_watch watch = {0};
	store_watch_start(world->store, &watch, "ban/", on_change);
	server.num_requests = 0;
	test_records_write("ban/x", "1");
	test_records_write("other", "1");
	test_records_write("ban/x", NULL);
	assert_int_equal(server.num_requests, 2000);
	store_watch_stop(&watch);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(changes_are_swapped_by_version),
		TEST(the_content_and_the_incarnation_outlive_the_process),
		TEST(a_conflict_shows_what_another_replica_wrote),
		TEST(a_lost_answer_is_found_out),
		TEST(a_lost_request_is_sent_again),
		TEST(failures_end_with_a_reason),
		TEST(a_value_that_is_no_text_ends_with_an_error),
		TEST(an_older_event_does_not_bring_back_what_was_removed),
		TEST(a_new_state_drops_what_others_removed_and_keeps_own_changes),
		TEST(a_restored_api_server_holds_although_its_versions_are_lower),
		TEST(what_another_replica_removed_while_the_watch_was_behind_is_gone),
		TEST(a_state_that_is_older_than_an_own_change_does_not_undo_it),
		TEST(a_state_that_is_older_than_an_own_removal_does_not_undo_it),
		TEST(an_answer_does_not_bring_back_what_was_removed_since),
		TEST(watches_see_the_changes_of_other_replicas),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
