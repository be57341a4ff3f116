/* The engine against an API server of a few lines, which this file links in place of base/kube: it can lose an answer,
 * delay the watch and let another replica write. test/kube runs the same engine against the real one. */
#include "base/core/mem.h"
#include "base/kube/kube_watch.h"
#include "control/store/record_object.h"
#include "control/store/store_records.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka requires the three above */
#include <cmocka.h>

#define OBJECTS_MAX 32

enum fault { FAULT_NONE, FAULT_LOST_REQUEST, FAULT_LOST_ANSWER, FAULT_STATUS };

static struct {
	json_t *objects[OBJECTS_MAX]; /* NULL: free */
	uint64_t version;
	enum fault fault;
	unsigned fault_status, num_faults; /* the next requests fail so */
	struct kube_watch_observer observer;
	struct loop_task sync;
	struct loop *loop;
	unsigned num_requests;
	bool watch_is_late;
} server;

struct kube_request {
	struct loop_task task;
	unsigned status;
	enum err err;
	char *body;
	kube_done_fn *on_done;
	void *arg;
};

/* --- the API server --- */

static size_t slot_of(const char *name)
{
	for (size_t i = 0; i < OBJECTS_MAX; i++)
		if (server.objects[i] != NULL &&
			strcmp(json_string_value(
				       json_object_get(json_object_get(server.objects[i], "metadata"), "name")),
				name) == 0)
			return i;
	return OBJECTS_MAX;
}

static void stamp(json_t *object)
{
	char text[24];
	snprintf(text, sizeof text, "%" PRIu64, ++server.version);
	json_object_set_new(json_object_get(object, "metadata"), "resourceVersion", json_string(text));
}

static void put(size_t slot, json_t *object)
{
	stamp(object);
	if (server.objects[slot] != NULL)
		json_decref(server.objects[slot]);
	server.objects[slot] = object;
	if (!server.watch_is_late)
		server.observer.on_object(server.observer.arg, KUBE_PUT, object);
}

static void drop(size_t slot)
{
	json_t *object = server.objects[slot];
	server.objects[slot] = NULL;
	stamp(object);
	if (!server.watch_is_late)
		server.observer.on_object(server.observer.arg, KUBE_DELETED, object);
	json_decref(object);
}

static const char *version_in(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(json_object_get(object, member), "resourceVersion"));
	return text == NULL ? "" : text;
}

static unsigned carry_out(const char *method, const char *path, json_t *body)
{
	const char *name = strrchr(path, '/') + 1;
	if (strcmp(method, "POST") == 0)
		name = json_string_value(json_object_get(json_object_get(body, "metadata"), "name"));
	size_t slot = slot_of(name);
	bool is_there = slot != OBJECTS_MAX;
	const char *present = is_there ? version_in(server.objects[slot], "metadata") : "";
	if (strcmp(method, "POST") == 0) {
		for (slot = 0; !is_there && server.objects[slot] != NULL; slot++)
			;
		if (!is_there)
			put(slot, json_incref(body));
		return is_there ? 409 : 201;
	}
	if (!is_there)
		return 404;
	if (strcmp(method, "GET") == 0)
		return 200;
	if (strcmp(present, version_in(body, strcmp(method, "PUT") == 0 ? "metadata" : "preconditions")) != 0)
		return 409;
	if (strcmp(method, "PUT") == 0)
		put(slot, json_incref(body));
	else
		drop(slot);
	return 200;
}

static void deliver(struct loop_task *task)
{
	struct kube_request *request = container_of(task, struct kube_request, task);
	const struct kube_response response = {
		.status = request->status, .body = span_of(request->body, strlen(request->body))};
	struct why why = {0};
	if (request->err != ERR_NONE)
		why_set(&why, request->err, "an API server", "start it", "it is away");
	request->on_done(request->arg, request->err, request->err == ERR_NONE ? &response : NULL, &why);
	free(request->body);
	mem_free(request);
}

struct kube_request *kube_request_start(_unused_ struct kube_client *client, const struct kube_request_options *options,
	kube_done_fn *on_done, void *arg)
{
	struct kube_request *request = mem_new(struct kube_request);
	enum fault fault = server.num_faults > 0 ? server.fault : FAULT_NONE;
	json_t *body = json_loadb((const char *)options->body.ptr, options->body.len, 0, NULL);
	server.num_requests++;
	server.num_faults -= server.num_faults > 0;
	request->on_done = on_done;
	request->arg = arg;
	request->status = fault == FAULT_STATUS ? server.fault_status : 500;
	if (fault != FAULT_LOST_REQUEST && fault != FAULT_STATUS)
		request->status = carry_out(options->method, options->path, body);
	if (fault == FAULT_LOST_REQUEST || fault == FAULT_LOST_ANSWER)
		request->err = ERR_TIMEOUT;
	const char *name = body == NULL ? strrchr(options->path, '/') + 1
					: json_string_value(json_object_get(json_object_get(body, "metadata"), "name"));
	size_t slot = name == NULL ? OBJECTS_MAX : slot_of(name);
	request->body = slot == OBJECTS_MAX ? strdup("{}") : json_dumps(server.objects[slot], 0);
	json_decref(body);
	loop_task_post(server.loop, &request->task, deliver);
	return request;
}

void kube_request_cancel(struct kube_request *request)
{
	loop_task_cancel(&request->task);
	free(request->body);
	mem_free(request);
}

static void send_state(struct loop_task *task)
{
	(void)task;
	server.observer.on_begin(server.observer.arg);
	for (size_t i = 0; i < OBJECTS_MAX; i++)
		if (server.objects[i] != NULL)
			server.observer.on_object(server.observer.arg, KUBE_PUT, server.objects[i]);
	server.observer.on_synced(server.observer.arg);
}

struct kube_watch *kube_watch_start(_unused_ struct kube_client *client,
	_unused_ const struct kube_watch_options *options, const struct kube_watch_observer *observer)
{
	server.observer = *observer;
	loop_task_post(server.loop, &server.sync, send_state);
	return (struct kube_watch *)&server;
}

void kube_watch_stop(_unused_ struct kube_watch *watch)
{
	loop_task_cancel(&server.sync);
}

/* --- the tests --- */

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
	memset(&server, 0, sizeof server);
	server.loop = loop_new(&clock_system);
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
	for (size_t i = 0; i < OBJECTS_MAX; i++)
		json_decref(server.objects[i]);
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

/* Another replica's change: value NULL removes. */
static void write_by_another(const char *key, const char *value)
{
	char name[RECORD_NAME_LEN];
	record_object_name(key, name);
	size_t slot = slot_of(name);
	if (value == NULL) {
		drop(slot);
		return;
	}
	for (slot = slot == OBJECTS_MAX ? 0 : slot; server.objects[slot] != NULL && slot_of(name) != slot; slot++)
		;
	put(slot, json_pack("{s:{s:s}, s:{s:s, s:s, s:s}}", "metadata", "name", name, "spec", "key", key, "value",
			  value, "writer", "another"));
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
	write_by_another("a", "theirs");
	assert_int_equal(swap(world, "a", version, "mine again"), ERR_CONFLICT);
	assert_holds(world, "a", "theirs");
	struct store_value value;
	assert_true(store_get(world->store, "a", &value));
	uint64_t known = value.version;
	write_by_another("a", NULL);
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
	json_t *older = json_deep_copy(server.objects[slot_of(name)]);
	assert_int_equal(swap(world, "a", world->version, NULL), ERR_NONE);
	server.observer.on_object(server.observer.arg, KUBE_PUT, older);
	assert_holds(world, "a", NULL);
	json_decref(older);
	server.watch_is_late = false;
	write_by_another("a", "anew");
	assert_holds(world, "a", "anew");
}

static void a_new_state_drops_what_others_removed_and_keeps_own_changes(void **state)
{
	struct world *world = *state;
	assert_int_equal(swap(world, "old", 0, "1"), ERR_NONE);
	server.watch_is_late = true;
	write_by_another("old", NULL);
	server.observer.on_begin(server.observer.arg);
	assert_int_equal(swap(world, "own", 0, "2"), ERR_NONE);
	server.observer.on_synced(server.observer.arg);
	assert_holds(world, "old", NULL);
	assert_holds(world, "own", "2");
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
	write_by_another("ban/x", "1");
	write_by_another("other", "1");
	write_by_another("ban/x", NULL);
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
		TEST(watches_see_the_changes_of_other_replicas),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
