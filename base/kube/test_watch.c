#include "base/kube/test_watch.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <stdio.h>
#include <string.h>

static void note(struct test_watch *test, const char *mark, const char *text)
{
	size_t len = strlen(test->log);
	CHECK(snprintf(test->log + len, sizeof(test->log) - len, "%s%s ", mark, text) < (int)(sizeof(test->log) - len));
}

static void stop_if(struct test_watch *test, bool stops)
{
	if (stops)
		kube_watch_stop(TAKE_PTR(test->watch));
}

static void on_begin(void *arg)
{
	note(arg, "begin", "");
}

static void on_object(void *arg, enum kube_event event, const json_t *object)
{
	struct test_watch *test = arg;
	const char *name = json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
	note(test, event == KUBE_PUT ? "+" : "-", name);
	stop_if(test, test->stops_at_object);
}

static void on_synced(void *arg)
{
	struct test_watch *test = arg;
	note(test, "synced", "");
	stop_if(test, test->stops_at_synced);
}

static void on_trouble(void *arg, const struct why *why)
{
	struct test_watch *test = arg;
	note(test, why != NULL ? "trouble" : "over", "");
	if (why != NULL)
		snprintf(test->trouble, sizeof(test->trouble), "%s", why->got);
	stop_if(test, why != NULL && test->stops_at_trouble);
}

int test_watch_setup(void **state)
{
	struct test_watch *test = mem_new(struct test_watch);
	const struct kube_watch_observer observer = {on_begin, on_object, on_synced, on_trouble, test};
	test_server_init(&test->server);
	test->client = kube_client_new(test->server.loop, &test->server.config);
	test->watch = kube_watch_start(test->client, &(struct kube_watch_options){.path = "/api/v1/pods"}, &observer);
	*state = test;
	return 0;
}

int test_watch_teardown(void **state)
{
	struct test_watch *test = *state;
	if (test->watch != NULL)
		kube_watch_stop(test->watch);
	kube_client_free(test->client);
	test_server_done(&test->server);
	mem_free(test);
	return 0;
}

bool test_watch_logs(struct test_watch *test, const char *expected)
{
	bool has_come = test_server_run(&test->server, strcmp(test->log, expected) == 0);
	if (!has_come)
		printf("expected '%s', got '%s', trouble '%s'\n", expected, test->log, test->trouble);
	test->log[0] = '\0';
	return has_come;
}

static char text[1024];

const char *test_line(const char *type, const char *name, unsigned version)
{
	snprintf(text, sizeof(text),
		"{\"type\":\"%s\",\"object\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\","
		"\"namespace\":\"shop\",\"resourceVersion\":\"%u\"}}}\n",
		type, name, version);
	return text;
}

const char *test_bookmark(unsigned version, bool ends_initial_events)
{
	snprintf(text, sizeof(text),
		"{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{"
		"\"resourceVersion\":\"%u\"%s}}}\n",
		version, ends_initial_events ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
	return text;
}

const char *test_error_line(unsigned code)
{
	snprintf(text, sizeof(text),
		"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
		"\"status\":\"Failure\",\"message\":\"the test's reason\",\"code\":%u}}\n",
		code);
	return text;
}

struct test_request *test_watch_sync(struct test_watch *test)
{
	struct test_request *request = test_server_await(&test->server, test->server.num_requests + 1);
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, test_line("ADDED", "cart-1", 5));
	test_send_text(request, test_bookmark(10, true));
	CHECK(test_watch_logs(test, "begin +cart-1 synced "));
	return request;
}
