#include "base/kube/test_client.h"
#include "base/core/mem.h"
#include <stdio.h>
#include <unistd.h>

int test_client_set_up(void **state)
{
	struct test_client *test = mem_new(struct test_client);
	test_server_init(&test->server);
	test->client = kube_client_new(test->server.loop, &test->server.config);
	*state = test;
	return 0;
}

int test_client_tear_down(void **state)
{
	struct test_client *test = *state;
	kube_client_free(test->client);
	test_server_done(&test->server);
	if (test->token_file[0] != '\0')
		unlink(test->token_file);
	mem_free(test);
	return 0;
}

void test_result_take(void *arg, enum err err, const struct kube_response *response, const struct why *why)
{
	struct test_result *outcome = arg;
	outcome->num_dones++;
	outcome->err = err;
	if (response == NULL) {
		outcome->detail = *why;
		return;
	}
	outcome->status = response->status;
	outcome->retry_after_s = response->retry_after_s;
	outcome->body_len = response->body.len;
	snprintf(
		outcome->body, sizeof outcome->body, "%.*s", (int)response->body.len, (const char *)response->body.ptr);
}

struct kube_request *test_client_get(struct test_client *test, const char *path, struct test_result *outcome)
{
	return kube_request_start(
		test->client, &(struct kube_request_options){.method = "GET", .path = path}, test_result_take, outcome);
}

bool test_client_await(struct test_client *test, const struct test_result *outcome)
{
	return test_server_run(&test->server, outcome->num_dones > 0);
}
