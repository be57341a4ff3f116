#include "base/http/http_get.h"

#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	struct clock_fake clock;
	struct loop *loop;
	struct http_server *server;
	struct addr at;
	struct http_request *held; /* a request to answer later */
	char answer[2048];
};

static void on_hello(void *arg, struct http_request *request)
{
	(void)arg;
	http_answer(request, 200, HTTP_TEXT, span_of_str(http_request_query(request)));
}

static void on_later(void *arg, struct http_request *request)
{
	((struct fixture *)arg)->held = request;
}

static void on_large(void *arg, struct http_request *request)
{
	(void)arg;
	static const uint8_t zeros[8 << 20];
	http_answer(request, 200, HTTP_TEXT, span_of(zeros, sizeof(zeros)));
}

static struct fixture fixture;
static const struct http_page pages[] = {
	{"/hello", on_hello, NULL}, {"/later", on_later, &fixture}, {"/large", on_large, NULL}};

static int set_up(void **state)
{
	fixture = (struct fixture){0};
	clock_fake_init(&fixture.clock, 1700000000000);
	fixture.loop = loop_new(&fixture.clock.clock);
	assert_int_equal(addr_parse(span_of_str("127.0.0.1:1"), &fixture.at), ERR_NONE);
	fixture.at.port = 0;
	int fd = -1;
	assert_int_equal(socket_listen(&fixture.at, &(struct socket_listen_options){0}, &fd, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(fd, &fixture.at), ERR_NONE);
	fixture.server = http_server_new(fixture.loop, fd, pages, 3);
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	http_server_free(fixture.server);
	if (fixture.held != NULL)
		http_answer(fixture.held, 200, HTTP_TEXT, SPAN_LITERAL("too late")); /* dropped, not leaked */
	loop_free(fixture.loop);
	return 0;
}

static void turn(void)
{
	for (unsigned i = 0; i < 8; i++)
		loop_run_once(fixture.loop, false);
}

static int begun(const char *text)
{
	int fd = -1;
	assert_int_equal(socket_connect(&fixture.at, &(struct socket_connect_options){0}, &fd), ERR_NONE);
	turn();
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	turn();
	return fd;
}

/* What was received until the end; NULL: it has not ended. */
static const char *ended(int fd)
{
	size_t len = 0;
	for (unsigned i = 0; i < 100; i++) {
		turn();
		ssize_t got = read(fd, fixture.answer + len, sizeof(fixture.answer) - 1 - len);
		if (got < 0 && errno == EAGAIN)
			continue;
		if (got <= 0) {
			fixture.answer[len] = '\0';
			return fixture.answer;
		}
		len += (size_t)got;
	}
	return NULL;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

static void a_page_is_answered_and_the_connection_closed(void **state)
{
	(void)state;
	_cleanup_fd_ int fd = begun(GET("/hello?you"));
	const char *answer = ended(fd);
	assert_non_null(answer);
	assert_ptr_equal(strstr(answer, "HTTP/1.1 200 OK\r\n"), answer);
	assert_non_null(strstr(answer, "Content-Length: 3\r\n"));
	assert_non_null(strstr(answer, "nosniff"));
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\nyou");
}

static void head_gets_no_body(void **state)
{
	(void)state;
	_cleanup_fd_ int fd = begun("HEAD /hello?you HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	const char *answer = ended(fd);
	assert_non_null(strstr(answer, "Content-Length: 3\r\n"));
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

static void an_unknown_page_is_404_and_a_post_405(void **state)
{
	(void)state;
	_cleanup_fd_ int unknown = begun(GET("/hello/"));
	assert_non_null(strstr(ended(unknown), "HTTP/1.1 404 "));
	_cleanup_fd_ int post = begun("POST /hello HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n\r\nabc");
	assert_non_null(strstr(ended(post), "HTTP/1.1 405 "));
	assert_non_null(strstr(fixture.answer, "Allow: GET, HEAD\r\n"));
}

static void a_page_may_be_answered_later(void **state)
{
	(void)state;
	_cleanup_fd_ int fd = begun(GET("/later"));
	assert_non_null(fixture.held);
	assert_string_equal(http_request_path(fixture.held), "/later");
	http_answer(TAKE_PTR(fixture.held), 200, HTTP_JSON, SPAN_LITERAL("{}"));
	assert_string_equal(strstr(ended(fd), "\r\n\r\n"), "\r\n\r\n{}");
}

static void responds_503_to_a_late_answer(void **state)
{
	(void)state;
	_cleanup_fd_ int fd = begun(GET("/later"));
	clock_fake_advance(&fixture.clock, 10100);
	assert_non_null(strstr(ended(fd), "HTTP/1.1 503 "));
	assert_non_null(fixture.held); /* tear_down answers it after the client disconnected */
}

static void drops_the_answer_for_a_disconnected_client(void **state)
{
	(void)state;
	int fd = begun(GET("/later"));
	socket_set_reset_on_close(fd, true);
	fd_close(fd);
	turn();
	http_answer(TAKE_PTR(fixture.held), 200, HTTP_JSON, SPAN_LITERAL("{}"));
	turn();
	clock_fake_advance(&fixture.clock, 1100);
	turn();
	assert_int_equal(http_server_num_conns(fixture.server), 0);
}

static void closes_a_client_that_sends_no_request_in_time(void **state)
{
	(void)state;
	_cleanup_fd_ int fd = begun("GET /hello HTTP/1.1\r\nHost:");
	assert_int_equal(http_server_num_conns(fixture.server), 1);
	clock_fake_advance(&fixture.clock, 5100);
	assert_string_equal(ended(fd), "");
	assert_int_equal(http_server_num_conns(fixture.server), 0);
}

static void closes_a_client_that_does_not_read_in_time(void **state)
{
	(void)state;
	_cleanup_fd_ int fd = begun(GET("/large"));
	assert_int_equal(http_server_num_conns(fixture.server), 1);
	clock_fake_advance(&fixture.clock, 10100);
	turn();
	assert_int_equal(http_server_num_conns(fixture.server), 0);
}

static void D39_idle_clients_cannot_block_probes(void **state)
{
	(void)state;
	int idle[64];
	for (size_t i = 0; i < 64; i++)
		idle[i] = begun("GET ");
	assert_int_equal(http_server_num_conns(fixture.server), 64);
	_cleanup_fd_ int fd = begun(GET("/hello?probe"));
	assert_non_null(strstr(ended(fd), "\r\n\r\nprobe"));
	assert_in_range(http_server_num_conns(fixture.server), 63, 64);
	for (size_t i = 0; i < 64; i++)
		fd_close(idle[i]);
}

/* A probe that sends its request late, beside a host that floods the port. */
static void finding_l12_a_flood_evicts_its_own_connections_and_no_probe(void **state)
{
	(void)state;
	enum { FLOOD = 200 };
	static int flood[FLOOD];
	struct ip_addr other;
	_cleanup_fd_ int probe = -1;
	assert_int_equal(ip_addr_parse(span_of_str("127.0.0.2"), &other), ERR_NONE);
	assert_int_equal(
		socket_connect(&fixture.at, &(struct socket_connect_options){.source = &other}, &probe), ERR_NONE);
	turn();
	for (size_t i = 0; i < FLOOD; i++)
		flood[i] = begun("GET ");
	assert_int_equal(http_server_num_conns(fixture.server), 64);
	assert_true(http_server_num_evicted(fixture.server) >= FLOOD - 64);
	assert_int_equal(write(probe, GET("/hello?late"), strlen(GET("/hello?late"))), strlen(GET("/hello?late")));
	assert_non_null(strstr(ended(probe), "\r\n\r\nlate"));
	for (size_t i = 0; i < FLOOD; i++)
		fd_close(flood[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_page_is_answered_and_the_connection_closed),
		TEST(head_gets_no_body),
		TEST(an_unknown_page_is_404_and_a_post_405),
		TEST(a_page_may_be_answered_later),
		TEST(responds_503_to_a_late_answer),
		TEST(drops_the_answer_for_a_disconnected_client),
		TEST(closes_a_client_that_sends_no_request_in_time),
		TEST(closes_a_client_that_does_not_read_in_time),
		TEST(finding_l12_a_flood_evicts_its_own_connections_and_no_probe),
		TEST(D39_idle_clients_cannot_block_probes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
