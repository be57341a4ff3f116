/* For tests: a watch of the test server, whose observer notes what it is called with. */
#pragma once

#include "base/kube/kube_watch.h"
#include "base/kube/test_server.h"

struct test_watch {
	struct test_server server;
	struct kube_client *client;
	struct kube_watch *watch;
	char log[4096];    /* "begin +cart-1 -cart-2 synced trouble over ", in the order of the calls */
	char trouble[256]; /* the last one's text */
	bool stops_at_object, stops_at_synced, stops_at_trouble; /* the watch, within the callback */
};

int test_watch_setup(void **state); /* for cmocka; *state: a struct test_watch, which watches /api/v1/pods */
int test_watch_teardown(void **state);

/* Whether the log becomes this; clears it then. Prints it where it does not. */
bool test_watch_logs(struct test_watch *test, const char *expected);
/* One event as a line; the texts are cut from static storage, good for one call. */
const char *test_line(const char *type, const char *name, unsigned version);
const char *test_bookmark(unsigned version, bool ends_initial_events);
const char *test_error_line(unsigned code);
/* Answers with the whole state: cart-1 (version 5) and its end, version 10. The watch is synced, and the log empty. */
struct test_request *test_watch_sync(struct test_watch *test);
