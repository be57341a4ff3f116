/* Limits of the webhook against floods: pods go on. All clients have one address here, as the API server has. */
#include "base/core/mem.h"
#include "control/kube/test_inject.h"
#include "control/kube/test_webhook.h"
#include "control/report/control_metrics.h"
#include <string.h>

#define REVIEW_OF(resource, object)                                                                                    \
	"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{\"uid\":\"7236781a\","      \
	"\"resource\":{\"group\":\"\",\"version\":\"v1\",\"resource\":\"" resource "\"},\"namespace\":\"shop\","       \
	"\"operation\":\"CREATE\",\"object\":{\"metadata\":{\"generateName\":\"cart-\"},\"spec\":{\"containers\":"     \
	"[{\"name\":\"app\",\"image\":\"a\"" object "}]}}}}"

static const char of_pod[] = REVIEW_OF("pods", ""), of_policy[] = REVIEW_OF("policies", "");

enum { MANY = WEBHOOK_CONNECTIONS_MAX };

struct flood {
	struct test_webhook world;
	struct test_client clients[MANY], pods;
	size_t num_clients;
	struct test_call calls[3 * WEBHOOK_STREAMS_MAX];
	size_t num_calls;
};

static int set_up(void **state)
{
	struct flood *flood = mem_new(struct flood);
	test_webhook_init(&flood->world);
	*state = flood;
	return 0;
}

static int tear_down(void **state)
{
	struct flood *flood = *state;
	for (size_t i = 0; i < flood->num_clients; i++)
		test_client_done(&flood->clients[i]);
	test_client_done(&flood->pods);
	for (size_t i = 0; i < flood->num_calls; i++)
		test_call_done(&flood->calls[i]);
	test_webhook_done(&flood->world);
	mem_free(flood);
	return 0;
}

static struct test_client *open_client(struct flood *flood)
{
	struct test_client *client = &flood->clients[flood->num_clients++];
	test_client_init(&flood->world, client);
	assert_true(test_webhook_run(&flood->world, client->is_open));
	return client;
}

static struct test_call *call(struct flood *flood, struct test_client *client, struct span body, bool is_held)
{
	struct test_call *made = &flood->calls[flood->num_calls++];
	test_call_start(client, made, "POST", "/inject", body);
	made->stream.is_held = is_held;
	return made;
}

static size_t num_with(const struct flood *flood, const char *status)
{
	size_t num = 0;
	for (size_t i = 0; i < flood->num_calls; i++)
		num += strcmp(flood->calls[i].status, status) == 0;
	return num;
}

/* A pod's review on a connection of its own is answered. */
static void expect_pod(struct flood *flood)
{
	struct test_call made;
	test_client_init(&flood->world, &flood->pods);
	assert_true(test_webhook_run(&flood->world, flood->pods.is_open));
	test_call_start(&flood->pods, &made, "POST", "/inject", span_of_str(of_pod));
	assert_true(test_webhook_run(&flood->world, made.stream.is_closed));
	assert_string_equal(made.status, "200");
	assert_non_null(strstr(buf_cstr(&made.stream.received), "JSONPatch"));
	test_call_done(&made);
}

static void K26_reviews_of_policies_cannot_take_the_connections_of_pods(void **state)
{
	struct flood *flood = *state;
	char body[ADMISSION_BEGINNING + 1];
	snprintf(body, sizeof(body), "%-512.400s", of_policy); /* it never ends */
	for (size_t i = 0; i < MANY; i++)
		call(flood, open_client(flood), span_of_str(body), true);
	assert_true(test_webhook_run(&flood->world, num_with(flood, "503") == MANY / 2));
	expect_pod(flood);
}

static void K26_reviews_of_policies_cannot_take_the_bytes_of_pods(void **state)
{
	struct flood *flood = *state;
	struct test_client *client = open_client(flood);
	size_t len = 5u * 1024 * 1024 / 2;
	char *body = mem_zalloc(len);
	memcpy(body, of_policy, sizeof(of_policy));
	for (int i = 0; i < 4; i++) /* 10 MiB of the 8 that they may have */
		call(flood, client, span_of(body, len), true);
	assert_true(test_webhook_run(&flood->world, num_with(flood, "503") > 0));
	memcpy(body, of_pod, sizeof(of_pod));
	struct test_call *pods[] = {call(flood, client, span_of(body, len), false),
		call(flood, client, span_of(body, len), false), call(flood, client, span_of(body, len), false)};
	for (size_t i = 0; i < sizeof(pods) / sizeof(pods[0]); i++) {
		assert_true(test_webhook_run(&flood->world, pods[i]->stream.is_closed));
		assert_string_equal(pods[i]->status, "400"); /* read whole, and no JSON */
	}
	expect_pod(flood);
	mem_free(body);
}

static void K26_a_pod_waits_for_one_review_of_another_kind_at_most(void **state)
{
	struct flood *flood = *state;
	struct test_client *client = open_client(flood);
	for (int i = 0; i < WEBHOOK_STREAMS_MAX - 1; i++)
		call(flood, client, span_of_str(of_policy), false);
	struct test_call *pod = call(flood, client, span_of_str(of_pod), false);
	assert_true(test_webhook_run(&flood->world, pod->stream.is_closed));
	assert_string_equal(pod->status, "200");
	assert_true(pod->rank <= 3);
	assert_true(test_webhook_run(&flood->world, num_with(flood, "200") == WEBHOOK_STREAMS_MAX));
}

static void K26_an_idle_connection_with_http2_ends_and_a_busy_one_stays(void **state)
{
	struct flood *flood = *state;
	struct test_client *idle = open_client(flood), *busy = open_client(flood);
	for (int i = 0; i < 4; i++) {
		struct test_call *made = call(flood, busy, span_of_str(of_pod), false);
		assert_true(test_webhook_run(&flood->world, made->stream.is_closed));
		assert_int_equal(idle->is_dead, false);
		for (int j = 0; j < 3; j++) { /* with the answers to PINGs */
			clock_fake_advance(&flood->world.clock, 10000);
			for (int k = 0; k < 20; k++)
				loop_run_once(flood->world.loop, false);
		}
	}
	assert_true(idle->has_goaway);
	assert_true(test_webhook_run(&flood->world, idle->is_dead));
	assert_false(busy->has_goaway);
}

static void K26_at_the_maximum_the_idle_connection_gives_way(void **state)
{
	struct flood *flood = *state;
	struct test_client *first = open_client(flood);
	while (flood->num_clients < MANY)
		open_client(flood);
	expect_pod(flood);
	assert_true(test_webhook_run(&flood->world, first->is_dead));
	assert_false(flood->clients[1].is_dead);
}

/* Clients that take the first bytes of each answer: what they do not take counts as their bodies did. */
static void K25_answers_that_are_not_taken_are_bounded(void **state)
{
	struct flood *flood = *state;
	enum { LEN = 300000 };
	char *padding = mem_zalloc(LEN + 1);
	memset(padding, 'x', LEN);
	char *body = mem_printf("%.*s,\"livenessProbe\":{\"httpGet\":{\"port\":80},\"x\":\"%s\"}}]}}}}",
		(int)strlen(of_pod) - 6, of_pod, padding);
	for (int i = 0; i < 3; i++) {
		struct test_client *client = &flood->clients[flood->num_clients++];
		test_client_init_slow(&flood->world, client);
		assert_true(test_webhook_run(&flood->world, client->is_open));
		for (int j = 0; j < WEBHOOK_STREAMS_MAX; j++)
			call(flood, client, span_of_str(body), false);
	}
	assert_true(test_webhook_run(&flood->world, num_with(flood, "") == 0));
	size_t most = WEBHOOK_BODIES_MAX / (LEN * 4 / 3);
	assert_in_range(num_with(flood, "200"), most / 2, most);
	assert_int_equal(num_with(flood, "503"), flood->num_calls - num_with(flood, "200"));
	mem_free(padding);
	mem_free(body);
	for (size_t i = 0; i < flood->num_clients; i++)
		test_client_done(&flood->clients[i]);
	flood->num_clients = 0;
	expect_pod(flood);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(K26_reviews_of_policies_cannot_take_the_connections_of_pods),
		CASE(K26_reviews_of_policies_cannot_take_the_bytes_of_pods),
		CASE(K26_a_pod_waits_for_one_review_of_another_kind_at_most),
		CASE(K26_an_idle_connection_with_http2_ends_and_a_busy_one_stays),
		CASE(K26_at_the_maximum_the_idle_connection_gives_way),
		CASE(K25_answers_that_are_not_taken_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
