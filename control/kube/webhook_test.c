/* The webhook over real sockets: answers, limits, draining. */
#include "base/core/mem.h"
#include "control/kube/test_inject.h"
#include "control/kube/test_webhook.h"
#include "control/report/control_metrics.h"
#include <string.h>

#define PATH "/inject?timeout=5s"

static const char review[] =
	"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{\"uid\":\"7236781a\","
	"\"resource\":{\"group\":\"\",\"version\":\"v1\",\"resource\":\"pods\"},\"namespace\":\"shop\","
	"\"operation\":\"CREATE\",\"object\":{\"metadata\":{\"generateName\":\"cart-\"},\"spec\":{\"containers\":"
	"[{\"name\":\"app\",\"image\":\"a\"}]}}}}";

static int set_up(void **state)
{
	struct test_webhook *world = mem_new(struct test_webhook);
	test_webhook_init(world);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	test_webhook_done(*state);
	mem_free(*state);
	return 0;
}

static void open_client(struct test_webhook *world, struct test_client *client)
{
	test_client_init(world, client);
	assert_true(test_webhook_run(world, client->is_open));
	assert_true(client->is_verified);
}

static void expect_status(struct test_client *client, const char *method, const char *path, struct span body,
	const char *status, const char *part)
{
	struct test_call call;
	test_call_start(client, &call, method, path, body);
	assert_true(test_webhook_run(client->world, call.stream.is_whole));
	assert_string_equal(call.status, status);
	if (strstr(buf_cstr(&call.stream.received), part) == NULL)
		fail_msg("no %s in %s", part, buf_cstr(&call.stream.received));
	assert_true(test_webhook_run(client->world, call.stream.is_closed));
	test_call_done(&call);
}

static void a_review_is_answered_on_a_connection_that_stays(void **state)
{
	struct test_webhook *world = *state;
	struct test_client client;
	open_client(world, &client);
	for (int i = 0; i < 3; i++)
		expect_status(&client, "POST", PATH, span_of_str(review), "200",
			"\"allowed\":true,\"patchType\":\"JSONPatch\"");
	assert_int_equal(metrics_read(world->metrics, CONTROL_INJECT_CHANGED), 3);
	test_client_done(&client);
}

static void many_reviews_of_one_connection_are_answered_each(void **state)
{
	struct test_webhook *world = *state;
	struct test_client client;
	static struct test_call calls[WEBHOOK_STREAMS_MAX];
	open_client(world, &client);
	for (size_t i = 0; i < WEBHOOK_STREAMS_MAX; i++)
		test_call_start(&client, &calls[i], "POST", PATH, span_of_str(review));
	for (size_t i = 0; i < WEBHOOK_STREAMS_MAX; i++) {
		assert_true(test_webhook_run(world, calls[i].stream.is_closed));
		assert_string_equal(calls[i].status, "200");
		test_call_done(&calls[i]);
	}
	test_client_done(&client);
}

static void other_requests_get_their_status(void **state)
{
	struct test_webhook *world = *state;
	struct test_client client;
	open_client(world, &client);
	expect_status(&client, "POST", "/", span_of_str(review), "404", "/inject");
	expect_status(&client, "POST", "/injection", span_of_str(review), "404", "/inject");
	expect_status(&client, "GET", PATH, span_of_str(""), "405", "POST");
	expect_status(&client, "POST", PATH, span_of_str(""), "400", "not JSON");
	expect_status(&client, "POST", PATH, span_of_str("{}"), "400", "AdmissionReview");
	expect_status(&client, "POST", PATH, span_of_str(review), "200", "\"allowed\":true");
	assert_int_equal(metrics_read(world->metrics, CONTROL_INJECT_MALFORMED), 2);
	test_client_done(&client);
}

static void a_body_above_three_mebibytes_is_refused(void **state)
{
	struct test_webhook *world = *state;
	struct test_client client;
	uint8_t *body = mem_zalloc(ADMISSION_BODY_MAX + 1);
	struct test_call call;
	open_client(world, &client);
	test_call_start(&client, &call, "POST", PATH, span_of(body, ADMISSION_BODY_MAX + 1));
	assert_true(test_webhook_run(world, call.stream.is_closed));
	assert_string_equal(call.status, "413");
	expect_status(&client, "POST", PATH, span_of_str(review), "200", "\"allowed\":true");
	test_call_done(&call);
	test_client_done(&client);
	mem_free(body);
}

/* Bodies that never end must not fill memory: at the limit the source with most gives way; here there is one. */
static void unfinished_bodies_are_bounded(void **state)
{
	struct test_webhook *world = *state;
	struct test_client client;
	enum { NUM = 7 }; /* of 2.5 MiB each: 17.5 MiB */
	static struct test_call calls[NUM];
	size_t len = 5u * 1024 * 1024 / 2;
	uint8_t *body = mem_zalloc(len);
	open_client(world, &client);
	for (size_t i = 0; i < NUM; i++) {
		test_call_start(&client, &calls[i], "POST", PATH, span_of(body, len));
		calls[i].stream.is_held = true;
	}
	unsigned refused = 0;
	assert_true(test_webhook_run(world, ({
		refused = 0;
		for (size_t i = 0; i < NUM; i++)
			/* closed: on a starved machine the deadline of a request comes first */
			refused += strcmp(calls[i].status, "503") == 0 || calls[i].stream.is_closed;
		refused > 0;
	})));
	expect_status(&client, "POST", "/", span_of_str(""), "404", "/inject");
	test_client_done(&client);
	for (size_t i = 0; i < NUM; i++)
		test_call_done(&calls[i]);
	mem_free(body);
}

static void a_drain_ends_connections_after_their_streams(void **state)
{
	struct test_webhook *world = *state;
	struct test_client client, late;
	struct test_call call;
	open_client(world, &client);
	test_call_start(&client, &call, "POST", PATH, span_of(review, 10));
	call.stream.is_held = true;
	assert_true(test_webhook_run(world, buf_len(&call.stream.to_send) == 0));
	webhook_drain(world->webhook);
	assert_true(test_webhook_run(world, client.has_goaway));
	assert_false(client.is_dead);
	assert_int_equal(buf_append(&call.stream.to_send, span_of(review + 10, strlen(review) - 10)), ERR_NONE);
	call.stream.is_held = false;
	test_h2_stream_flush(&call.stream);
	assert_true(test_webhook_run(world, call.stream.is_whole && client.is_dead));
	assert_string_equal(call.status, "200");
	test_client_init(world, &late);
	assert_true(test_webhook_run(world, late.is_dead));
	test_call_done(&call);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_review_is_answered_on_a_connection_that_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_reviews_of_one_connection_are_answered_each, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_requests_get_their_status, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_body_above_three_mebibytes_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(unfinished_bodies_are_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_drain_ends_connections_after_their_streams, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
