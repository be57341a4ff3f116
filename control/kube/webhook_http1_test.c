/* The webhook as the API server calls it: HTTP/1.1 on connections that stay. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/socket.h"
#include "control/kube/test_inject.h"
#include "control/kube/test_webhook.h"
#include "control/report/control_metrics.h"
#include <string.h>

#define HEAD "POST /inject?timeout=5s HTTP/1.1\r\nHost: handfast-webhook.handfast-system.svc:443\r\n"

static const char review[] =
	"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{\"uid\":\"7236781a\","
	"\"resource\":{\"group\":\"\",\"version\":\"v1\",\"resource\":\"pods\"},\"namespace\":\"shop\","
	"\"operation\":\"CREATE\",\"object\":{\"metadata\":{\"generateName\":\"cart-\"},\"spec\":{\"containers\":"
	"[{\"name\":\"app\",\"image\":\"a\"}]}}}}";

struct caller {
	struct test_webhook world;
	struct tls_context *context;
	struct tls_session *session;
	struct buf received;
	bool has_ended;
};

static enum err on_verify(
	void *arg, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why)
{
	(void)arg, (void)chain, (void)num_chain, (void)out_svid, (void)why;
	return ERR_NONE; /* webhook_test.c has the verification */
}

static void dial(struct caller *caller)
{
	int fd = -1;
	tls_session_free(caller->session);
	buf_clear(&caller->received);
	caller->has_ended = false;
	CHECK(socket_connect(&caller->world.at, &(struct socket_connect_options){0}, &fd) == ERR_NONE);
	CHECK(tls_session_new(&(struct tls_session_options){.context = caller->context,
				      .scratch = caller->world.scratch,
				      .fd = fd,
				      .on_verify = on_verify},
		      &caller->session, NULL) == ERR_NONE);
	assert_true(test_webhook_run(&caller->world, tls_session_handshake(caller->session) == IO_DONE));
}

static int set_up(void **state)
{
	struct caller *caller = mem_new(struct caller);
	test_webhook_init(&caller->world);
	caller->context = tls_context_new(&(struct tls_context_options){.role = TLS_CLIENT, .alpn = "http/1.1"});
	buf_init(&caller->received, 1u << 20);
	dial(caller);
	*state = caller;
	return 0;
}

static int tear_down(void **state)
{
	struct caller *caller = *state;
	tls_session_free(caller->session);
	tls_context_free(caller->context);
	test_webhook_done(&caller->world);
	buf_done(&caller->received);
	mem_free(caller);
	return 0;
}

static void send_text(struct caller *caller, const char *text)
{
	size_t len;
	for (struct span left = span_of_str(text); left.len > 0; left = span_from(left, len))
		assert_int_equal(tls_session_write(caller->session, left, &len), IO_DONE);
	assert_true(test_webhook_run(&caller->world, tls_session_flush(caller->session) == IO_DONE));
}

static bool has_received(struct caller *caller, const char *part)
{
	uint8_t bytes[4096];
	size_t len;
	enum io_result result;
	while ((result = tls_session_read(caller->session, bytes, sizeof bytes, &len)) == IO_DONE)
		CHECK(buf_append(&caller->received, span_of(bytes, len)) == ERR_NONE);
	caller->has_ended = result != IO_WANT_READ;
	return strstr(buf_cstr(&caller->received), part) != NULL;
}

static void expect_answer(struct caller *caller, const char *part)
{
	assert_true(test_webhook_run(&caller->world, has_received(caller, part)));
}

static void post(struct caller *caller, const char *more, const char *body)
{
	_cleanup_(mem_freep) char *text = mem_printf(HEAD "%sContent-Length: %zu\r\n\r\n%s", more, strlen(body), body);
	buf_clear(&caller->received);
	send_text(caller, text);
}

static void a_review_is_answered_on_a_connection_that_stays(void **state)
{
	struct caller *caller = *state;
	for (int i = 0; i < 3; i++) {
		post(caller, "", review);
		expect_answer(caller, "\"patchType\":\"JSONPatch\"");
		assert_true(has_received(caller, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"));
		assert_false(caller->has_ended);
	}
	assert_int_equal(metrics_read(caller->world.metrics, CONTROL_INJECT_CHANGED), 3);
}

static void a_review_in_pieces_is_answered(void **state)
{
	struct caller *caller = *state;
	send_text(caller, HEAD "Transfer-Encoding: chunked\r\n\r\n");
	_cleanup_(mem_freep) char *chunk = mem_printf("%zx\r\n%s\r\n", strlen(review), review);
	for (const char *at = chunk; *at != '\0'; at++)
		send_text(caller, (const char[]){*at, '\0'});
	send_text(caller, "0\r\n\r\n");
	expect_answer(caller, "\"patchType\":\"JSONPatch\"");
}

static void the_connection_ends_where_the_client_wants_that(void **state)
{
	struct caller *caller = *state;
	post(caller, "Connection: close\r\n", review);
	expect_answer(caller, "\"patchType\":\"JSONPatch\"");
	assert_true(test_webhook_run(&caller->world, (has_received(caller, ""), caller->has_ended)));
	assert_true(has_received(caller, "Connection: close\r\n"));
}

static void what_is_no_review_gets_an_error(void **state)
{
	struct caller *caller = *state;
	post(caller, "", "{}");
	expect_answer(caller, "HTTP/1.1 400 ");
	assert_false(caller->has_ended);
	send_text(caller, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	expect_answer(caller, "HTTP/1.1 405 ");
	dial(caller);
	send_text(caller, "POST /other HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
	expect_answer(caller, "HTTP/1.1 404 ");
	dial(caller);
	send_text(caller, "no HTTP\r\n\r\n");
	expect_answer(caller, "HTTP/1.1 400 ");
	dial(caller);
	post(caller, "", review);
	expect_answer(caller, "HTTP/1.1 200 ");
}

static void a_body_is_bounded(void **state)
{
	struct caller *caller = *state;
	static char piece[256 * 1024];
	memset(piece, 'x', sizeof piece - 1);
	send_text(caller, HEAD "Content-Length: 100000000\r\n\r\n");
	for (int i = 0; i < 13 && !has_received(caller, "HTTP/1.1 4"); i++) /* 3.25 MiB */
		send_text(caller, piece);
	expect_answer(caller, "HTTP/1.1 413 ");
}

static void draining_ends_idle_connections(void **state)
{
	struct caller *caller = *state;
	post(caller, "", review);
	expect_answer(caller, "HTTP/1.1 200 ");
	webhook_drain(caller->world.webhook);
	assert_true(test_webhook_run(&caller->world, (has_received(caller, ""), caller->has_ended)));
}

/* Each kind of review in turn on one connection, which counts as one of the others during their reviews alone. */
static void K26_a_connection_serves_pods_after_reviews_of_policies(void **state)
{
	struct caller *caller = *state;
	_cleanup_(mem_freep) char *other = mem_strdup(review);
	memcpy(strstr(other, "\"pods\""), "\"arks\"", 6);
	for (int i = 0; i < 3; i++) {
		post(caller, "", other);
		expect_answer(caller, "{\"uid\":\"7236781a\",\"allowed\":true}}");
		post(caller, "", review);
		expect_answer(caller, "\"patchType\":\"JSONPatch\"");
	}
	assert_false(caller->has_ended);
}

static void K26_an_idle_connection_ends(void **state)
{
	struct caller *caller = *state;
	post(caller, "", review);
	expect_answer(caller, "HTTP/1.1 200 ");
	clock_fake_advance(&caller->world.clock, 119000);
	for (int i = 0; i < 20; i++)
		loop_run_once(caller->world.loop, false);
	(void)has_received(caller, "");
	assert_false(caller->has_ended);
	clock_fake_advance(&caller->world.clock, 2000);
	assert_true(test_webhook_run(&caller->world, (has_received(caller, ""), caller->has_ended)));
}

/* Clients that go in the middle of their bodies: 20 MiB in all, more than may wait at once. */
static void K25_a_connection_that_ends_gives_its_bytes_back(void **state)
{
	struct caller *caller = *state;
	static char piece[256 * 1024];
	memset(piece, ' ', sizeof piece - 1);
	for (int i = 0; i < 20; i++) {
		send_text(caller, HEAD "Content-Length: 3000000\r\n\r\n");
		for (int j = 0; j < 4; j++)
			send_text(caller, piece);
		assert_false(has_received(caller, "HTTP/1.1 503"));
		dial(caller);
	}
	post(caller, "", review);
	expect_answer(caller, "\"patchType\":\"JSONPatch\"");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_review_is_answered_on_a_connection_that_stays),
		CASE(a_review_in_pieces_is_answered),
		CASE(the_connection_ends_where_the_client_wants_that),
		CASE(what_is_no_review_gets_an_error),
		CASE(a_body_is_bounded),
		CASE(K26_a_connection_serves_pods_after_reviews_of_policies),
		CASE(K26_an_idle_connection_ends),
		CASE(K25_a_connection_that_ends_gives_its_bytes_back),
		CASE(draining_ends_idle_connections),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
