/* For tests: a client of the server in test_server.h, and what its requests end with. */
#pragma once

#include "base/kube/test_server.h"

struct test_client {
	struct test_server server;
	struct kube_client *client;
	char token_file[64]; /* empty: none; else removed at the end */
};

struct test_result { /* of one request */
	unsigned num_dones;
	enum err err;
	unsigned status;
	uint32_t retry_after_s;
	char body[128]; /* cut */
	size_t body_len;
	struct why detail; /* where there is no answer */
};

/* Of cmocka: *state is a test_client. */
int test_client_set_up(void **state);
int test_client_tear_down(void **state);
void test_result_take(void *outcome, enum err err, const struct kube_response *response, const struct why *why);
struct kube_request *test_client_get(struct test_client *test, const char *path, struct test_result *outcome);
bool test_client_await(struct test_client *test, const struct test_result *outcome); /* false: it did not end */
