#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/kube/kube_client.h"
#include "base/kube/test_server.h"
#include "base/net/fd.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

enum { H2_REFUSED_STREAM = 7, H2_INTERNAL_ERROR = 2 };

struct world {
	struct test_server server;
	struct kube_client *client;
	char token_file[64];
};

struct outcome {
	unsigned num_dones;
	enum err err;
	unsigned status;
	uint32_t retry_after_s;
	char body[128], got[256];
};

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	test_server_init(&world->server);
	world->client = kube_client_new(world->server.loop, &world->server.config);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	kube_client_free(world->client);
	test_server_done(&world->server);
	if (world->token_file[0] != '\0')
		unlink(world->token_file);
	mem_free(world);
	return 0;
}

static void on_done(void *arg, enum err err, const struct kube_response *response, const struct why *why)
{
	struct outcome *outcome = arg;
	outcome->num_dones++;
	outcome->err = err;
	if (response != NULL) {
		outcome->status = response->status;
		outcome->retry_after_s = response->retry_after_s;
		snprintf(outcome->body, sizeof(outcome->body), "%.*s", (int)response->body.len,
			(const char *)response->body.ptr);
	} else {
		snprintf(outcome->got, sizeof(outcome->got), "%s", why->got);
	}
}

static struct kube_request *get(struct world *world, const char *path, struct outcome *outcome)
{
	return kube_request_start(
		world->client, &(struct kube_request_options){.method = "GET", .path = path}, on_done, outcome);
}

static bool await_done(struct world *world, const struct outcome *outcome)
{
	return test_server_run(&world->server, outcome->num_dones > 0);
}

static void a_request_gets_its_answer(void **state)
{
	struct world *world = *state;
	struct outcome outcome = {0};
	struct kube_request_options options = {.method = "POST",
		.path = "/apis/authentication.k8s.io/v1/tokenreviews",
		.body = SPAN_LITERAL("{\"spec\":{}}")};
	kube_request_start(world->client, &options, on_done, &outcome);
	assert_int_equal(outcome.num_dones, 0);
	struct test_request *request = test_server_await(&world->server, 1);
	assert_string_equal(request->method, "POST");
	assert_string_equal(request->path, "/apis/authentication.k8s.io/v1/tokenreviews");
	assert_string_equal(request->content_type, "application/json");
	assert_string_equal(request->accept, "application/json");
	assert_string_equal(request->authorization, "");
	assert_true(span_eq(buf_span(&request->body), options.body));
	test_answer(request, "201", "{\"status\":{}}");
	assert_true(await_done(world, &outcome));
	assert_int_equal(outcome.err, ERR_NONE);
	assert_int_equal(outcome.status, 201);
	assert_string_equal(outcome.body, "{\"status\":{}}");
}

static void requests_share_one_connection(void **state)
{
	struct world *world = *state;
	struct outcome first = {0}, second = {0};
	get(world, "/a", &first);
	get(world, "/b", &second);
	test_answer(test_server_await(&world->server, 2), "200", "b");
	assert_true(await_done(world, &second));
	assert_int_equal(first.num_dones, 0); /* the later one does not wait for the earlier */
	test_answer(&world->server.requests[0], "429", "slower");
	assert_true(await_done(world, &first));
	assert_int_equal(first.status, 429);
	assert_int_equal(world->server.num_accepted, 1);
}

static void a_request_that_is_canceled_calls_nothing(void **state)
{
	struct world *world = *state;
	struct outcome before = {0}, after = {0};
	kube_request_cancel(get(world, "/before", &before));
	struct kube_request *request = get(world, "/after", &after);
	struct test_request *seen = test_server_await(&world->server, 1);
	assert_string_equal(seen->path, "/after");
	kube_request_cancel(request);
	assert_true(test_server_run(&world->server, seen->is_closed));
	assert_int_equal(before.num_dones + after.num_dones, 0);
}

static void the_client_may_end_before_its_requests(void **state)
{
	struct world *world = *state;
	struct outcome sent = {0}, waiting = {0};
	get(world, "/sent", &sent);
	test_server_await(&world->server, 1);
	get(world, "/waiting", &waiting);
	kube_client_free(TAKE_PTR(world->client));
	assert_int_equal(sent.num_dones + waiting.num_dones, 0);
}

static void an_answer_beyond_the_limit_ends_the_request(void **state)
{
	struct world *world = *state;
	struct outcome outcome = {0};
	kube_request_start(world->client,
		&(struct kube_request_options){.method = "GET", .path = "/", .response_max = 4}, on_done, &outcome);
	struct test_request *request = test_server_await(&world->server, 1);
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, "12345");
	assert_true(await_done(world, &outcome));
	assert_int_equal(outcome.err, ERR_TOO_LARGE);
	assert_true(test_server_run(&world->server, request->is_closed));
}

static void a_request_without_an_answer_times_out(void **state)
{
	struct world *world = *state;
	struct outcome outcome = {0};
	kube_request_start(world->client,
		&(struct kube_request_options){.method = "GET", .path = "/", .timeout_ms = 500}, on_done, &outcome);
	struct test_request *request = test_server_await(&world->server, 1);
	test_server_pass(&world->server, 400);
	assert_int_equal(outcome.num_dones, 0);
	test_server_pass(&world->server, 200);
	assert_int_equal(outcome.err, ERR_TIMEOUT);
	assert_true(test_server_run(&world->server, request->is_closed));
}

static void what_the_server_did_not_begin_is_sent_again(void **state)
{
	struct world *world = *state;
	struct outcome outcome = {0};
	get(world, "/a", &outcome);
	test_reset(test_server_await(&world->server, 1), H2_REFUSED_STREAM);
	test_answer(test_server_await(&world->server, 2), "200", "");
	assert_true(await_done(world, &outcome));
	assert_int_equal(outcome.status, 200);
}

static void a_reset_ends_the_request(void **state)
{
	struct world *world = *state;
	struct outcome outcome = {0};
	get(world, "/a", &outcome);
	test_reset(test_server_await(&world->server, 1), H2_INTERNAL_ERROR);
	assert_true(await_done(world, &outcome));
	assert_int_equal(outcome.err, ERR_RESET);
	assert_non_null(strstr(outcome.got, "INTERNAL_ERROR"));
}

static void after_goaway_requests_go_on_and_new_ones_use_another_connection(void **state)
{
	struct world *world = *state;
	struct outcome old = {0}, fresh = {0};
	get(world, "/old", &old);
	struct test_request *first = test_server_await(&world->server, 1);
	test_goaway(&world->server);
	test_server_settle(&world->server);
	get(world, "/new", &fresh);
	test_answer(test_server_await(&world->server, 2), "200", "new");
	assert_true(await_done(world, &fresh));
	assert_int_equal(world->server.num_accepted, 2);
	assert_int_equal(old.num_dones, 0);
	test_answer(first, "200", "old");
	assert_true(await_done(world, &old));
	assert_string_equal(old.body, "old");
}

static void a_cut_connection_ends_its_requests_and_is_made_again(void **state)
{
	struct world *world = *state;
	struct outcome before = {0}, first = {0}, second = {0};
	get(world, "/before", &before);
	test_answer(test_server_await(&world->server, 1), "200", "");
	get(world, "/a", &first);
	test_server_await(&world->server, 2);
	test_cut(&world->server);
	assert_true(await_done(world, &first));
	assert_int_not_equal(first.err, ERR_NONE);
	get(world, "/b", &second);
	test_answer(test_server_await(&world->server, 3), "200", "");
	assert_true(await_done(world, &second));
	assert_int_equal(second.err, ERR_NONE);
}

static void a_connection_that_never_answered_is_a_failed_attempt(void **state)
{
	struct world *world = *state;
	struct outcome first = {0}, second = {0}, third = {0};
	get(world, "/a", &first);
	test_server_await(&world->server, 1);
	test_cut(&world->server);
	assert_true(await_done(world, &first));
	get(world, "/b", &second); /* within the second after the failure */
	assert_true(await_done(world, &second));
	assert_int_not_equal(second.err, ERR_NONE);
	assert_int_equal(world->server.num_accepted, 1);
	test_server_pass(&world->server, 1100);
	get(world, "/c", &third);
	test_answer(test_server_await(&world->server, 2), "200", "");
	assert_true(await_done(world, &third));
	assert_int_equal(third.err, ERR_NONE);
}

static void a_server_that_goes_away_at_once_is_not_dialed_without_pause(void **state)
{
	struct world *world = *state;
	struct outcome first = {0}, second = {0}, third = {0};
	world->server.goes_away = true;
	get(world, "/a", &first);
	assert_true(await_done(world, &first));
	assert_int_equal(first.err, ERR_UNAVAILABLE);
	assert_non_null(strstr(first.got, "GOAWAY before any request"));
	get(world, "/b", &second);
	assert_true(await_done(world, &second));
	assert_int_equal(second.err, ERR_UNAVAILABLE);
	assert_int_equal(world->server.num_accepted, 1);
	world->server.goes_away = false;
	test_server_pass(&world->server, 1100);
	get(world, "/c", &third);
	test_answer(test_server_await(&world->server, 1), "200", "");
	assert_true(await_done(world, &third));
	assert_int_equal(third.err, ERR_NONE);
}

static void without_a_server_a_request_fails_at_once_and_later_ones_try_again(void **state)
{
	struct world *world = *state;
	struct outcome first = {0}, second = {0}, third = {0};
	test_server_stop_listening(&world->server);
	get(world, "/a", &first);
	assert_true(await_done(world, &first));
	assert_int_equal(first.err, ERR_REFUSED);
	assert_non_null(strstr(first.got, "127.0.0.1"));
	test_server_listen(&world->server);
	get(world, "/b", &second); /* within the second after the failure */
	assert_true(await_done(world, &second));
	assert_int_equal(second.err, ERR_REFUSED);
	test_server_pass(&world->server, 1100);
	get(world, "/c", &third);
	test_answer(test_server_await(&world->server, 1), "200", "");
	assert_true(await_done(world, &third));
	assert_int_equal(third.err, ERR_NONE);
}

static void a_server_of_another_authority_is_refused(void **state)
{
	struct world *world = *state;
	struct test_server other;
	test_server_init(&other);
	buf_clear(&world->server.config.ca_pem);
	assert_int_equal(buf_append(&world->server.config.ca_pem, buf_span(&other.config.ca_pem)), ERR_NONE);
	struct outcome outcome = {0};
	get(world, "/a", &outcome);
	assert_true(await_done(world, &outcome));
	assert_int_equal(outcome.err, ERR_UNTRUSTED);
	test_server_done(&other);
}

static void a_silent_server_is_given_up(void **state)
{
	struct world *world = *state;
	world->server.is_mute = true;
	struct outcome outcome = {0};
	kube_request_start(world->client,
		&(struct kube_request_options){.method = "GET", .path = "/", .timeout_ms = 60000}, on_done, &outcome);
	assert_true(test_server_run(&world->server, world->server.num_accepted == 1));
	test_server_pass(&world->server, 10500);
	assert_int_equal(outcome.num_dones, 1);
	assert_int_equal(outcome.err, ERR_TIMEOUT);
}

static void write_token(struct world *world, const char *text)
{
	assert_int_equal(fd_write_file(world->token_file, span_of_str(text), 0600, NULL), ERR_NONE);
}

static void a_token_file_is_read_anew_after_a_401(void **state)
{
	struct world *world = *state;
	snprintf(world->token_file, sizeof(world->token_file), "/tmp/handfast-kube-token-%d", getpid());
	write_token(world, "first\n");
	kube_client_free(world->client);
	world->server.config.token_file = mem_strdup(world->token_file);
	world->client = kube_client_new(world->server.loop, &world->server.config);
	struct outcome outcome = {0}, refused = {0};
	get(world, "/a", &outcome);
	struct test_request *request = test_server_await(&world->server, 1);
	assert_string_equal(request->authorization, "Bearer first");
	write_token(world, "second\n");
	test_answer(request, "401", "Unauthorized");
	request = test_server_await(&world->server, 2);
	assert_string_equal(request->authorization, "Bearer second");
	test_answer(request, "200", "");
	assert_true(await_done(world, &outcome));
	assert_int_equal(outcome.status, 200);
	get(world, "/b", &refused); /* the file has no other token: the caller gets the 401 */
	test_answer(test_server_await(&world->server, 3), "401", "Unauthorized");
	assert_true(await_done(world, &refused));
	assert_int_equal(refused.status, 401);
}

static void reports_when_to_come_back(void **state)
{
	struct world *world = *state;
	struct outcome outcome = {0};
	get(world, "/a", &outcome);
	struct test_request *request = test_server_await(&world->server, 1);
	test_answer_begin(request, "429", "retry-after", "7");
	test_end(request);
	assert_true(await_done(world, &outcome));
	assert_int_equal(outcome.status, 429);
	assert_int_equal(outcome.retry_after_s, 7);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_request_gets_its_answer),
		CASE(requests_share_one_connection),
		CASE(a_request_that_is_canceled_calls_nothing),
		CASE(the_client_may_end_before_its_requests),
		CASE(an_answer_beyond_the_limit_ends_the_request),
		CASE(a_request_without_an_answer_times_out),
		CASE(what_the_server_did_not_begin_is_sent_again),
		CASE(a_reset_ends_the_request),
		CASE(after_goaway_requests_go_on_and_new_ones_use_another_connection),
		CASE(a_cut_connection_ends_its_requests_and_is_made_again),
		CASE(a_connection_that_never_answered_is_a_failed_attempt),
		CASE(a_server_that_goes_away_at_once_is_not_dialed_without_pause),
		CASE(without_a_server_a_request_fails_at_once_and_later_ones_try_again),
		CASE(a_server_of_another_authority_is_refused),
		CASE(a_silent_server_is_given_up),
		CASE(a_token_file_is_read_anew_after_a_401),
		CASE(reports_when_to_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
