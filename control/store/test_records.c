#include "control/store/test_records.h"
#include "base/core/mem.h"
#include "control/store/record_object.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test_records server;

struct kube_request {
	struct loop_task task;
	unsigned status;
	enum err err;
	char *body;
	kube_done_fn *on_done;
	void *arg;
};

/* --- the API server --- */

size_t test_records_slot(const char *name)
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
	size_t slot = test_records_slot(name);
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
	enum test_fault fault = server.num_faults > 0 ? server.fault : FAULT_NONE;
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
	size_t slot = name == NULL ? OBJECTS_MAX : test_records_slot(name);
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

static bool is_in_snapshot(const json_t *object)
{
	uint64_t version = 0;
	return record_object_version(version_in(object, "metadata"), &version) &&
	       (server.snapshot == 0 || version <= server.snapshot);
}

const char *kube_watch_version(_unused_ const struct kube_watch *watch)
{
	static char text[24];
	snprintf(text, sizeof text, "%" PRIu64, server.snapshot == 0 ? server.version : server.snapshot);
	return text;
}

void test_records_send_state(void)
{
	server.observer.on_begin(server.observer.arg);
	for (size_t i = 0; i < OBJECTS_MAX; i++)
		if (server.objects[i] != NULL && is_in_snapshot(server.objects[i]))
			server.observer.on_object(server.observer.arg, KUBE_PUT, server.objects[i]);
	server.observer.on_synced(server.observer.arg);
}

static void send_state(struct loop_task *task)
{
	(void)task;
	test_records_send_state();
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

/* --- for the test --- */

void test_records_write(const char *key, const char *value)
{
	char name[RECORD_NAME_LEN];
	record_object_name(key, name);
	size_t slot = test_records_slot(name);
	if (value == NULL) {
		drop(slot);
		return;
	}
	for (slot = slot == OBJECTS_MAX ? 0 : slot; server.objects[slot] != NULL && test_records_slot(name) != slot;
		slot++)
		;
	put(slot, json_pack("{s:{s:s}, s:{s:s, s:s, s:s}}", "metadata", "name", name, "spec", "key", key, "value",
			  value, "writer", "another"));
}

void test_records_start(struct loop *loop)
{
	server = (struct test_records){.loop = loop, .version = 1};
}

void test_records_end(void)
{
	for (size_t i = 0; i < OBJECTS_MAX; i++)
		json_decref(server.objects[i]);
}
