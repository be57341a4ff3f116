#include "sidecar/report/admin.h"

#include "base/net/fd.h"
#include "base/net/socket.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void on_json(void *arg, struct http_request *request)
{
	(void)arg;
	admin_answer_json(request, json_pack("{s:s}", "page", http_request_path(request)));
}

static void on_metrics(void *arg, struct http_request *request)
{
	admin_answer_metrics(request, arg, SPAN_LITERAL("one_more 1\n"));
}

static void on_ready(void *arg, struct http_request *request)
{
	(void)arg;
	admin_answer_probe(request, false, "no identity yet");
}

struct fixture {
	struct loop *loop;
	struct metrics *metrics;
	struct admin *admin;
	struct admin_options options;
	char answer[2048];
};

/* Ports that were free when they were chosen. */
static uint16_t free_port(void)
{
	struct addr at = {.ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}}};
	_cleanup_fd_ int fd = -1;
	assert_int_equal(socket_listen(&at, &(struct socket_listen_options){0}, &fd, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(fd, &at), ERR_NONE);
	return at.port;
}

static void on_probe(_unused_ void *arg, struct http_request *request)
{
	const char *path = http_request_path(request);
	http_answer(request, 200, HTTP_TEXT, span_of_str(path));
}

static int set_up(void **state)
{
	static struct fixture fixture;
	static const struct metric_row row = {METRIC_COUNTER, "handfast_x_total", "", "Help."};
	fixture = (struct fixture){.loop = loop_new(&clock_system), .metrics = metrics_new(&row, 1, 1)};
	fixture.options = (struct admin_options){.admin_port = free_port(), .metrics_port = free_port()};
	struct admin_pages pages = {on_json, on_json, on_json, on_json, on_json, on_json, on_json, on_json, on_metrics,
		on_ready, on_ready, on_ready, on_probe, fixture.metrics};
	struct why why;
	assert_int_equal(admin_new(fixture.loop, &fixture.options, &pages, &fixture.admin, &why), ERR_NONE);
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	admin_free(fixture->admin);
	metrics_free(fixture->metrics);
	loop_free(fixture->loop);
	return 0;
}

static const char *fetched_as(struct fixture *fixture, uint16_t port, const char *path, const char *host)
{
	struct addr at = {.ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}}, .port = port};
	_cleanup_fd_ int fd = -1;
	char text[256];
	assert_int_equal(socket_connect(&at, &(struct socket_connect_options){0}, &fd), ERR_NONE);
	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: %s:%u\r\n\r\n", path, host, port);
	loop_run_once(fixture->loop, false);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	for (size_t len = 0;;) {
		loop_run_once(fixture->loop, false);
		ssize_t got = read(fd, fixture->answer + len, sizeof(fixture->answer) - 1 - len);
		if (got < 0 && errno == EAGAIN)
			continue;
		len += got > 0 ? (size_t)got : 0;
		fixture->answer[len] = '\0';
		if (got <= 0)
			return fixture->answer;
	}
}

static const char *fetched(struct fixture *fixture, uint16_t port, const char *path)
{
	return fetched_as(fixture, port, path, "127.0.0.1");
}

static void every_operator_page_is_json_on_the_admin_port(void **state)
{
	struct fixture *fixture = *state;
	const char *const paths[] = {"/certs", "/config", "/connections", "/tunnels", "/why", "/check"};
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		const char *answer = fetched(fixture, fixture->options.admin_port, paths[i]);
		assert_non_null(strstr(answer, " 200 OK\r\n"));
		assert_non_null(strstr(answer, "application/json"));
		assert_non_null(strstr(answer, paths[i]));
	}
}

static void D36_the_metrics_port_has_no_operator_page(void **state)
{
	struct fixture *fixture = *state;
	const char *const paths[] = {"/certs", "/config", "/connections", "/tunnels", "/why", "/check", "/quit"};
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		assert_non_null(strstr(fetched(fixture, fixture->options.metrics_port, paths[i]), " 404 "));
}

static void metrics_and_probes_are_answered(void **state)
{
	struct fixture *fixture = *state;
	uint16_t port = fixture->options.metrics_port;
	assert_non_null(strstr(fetched(fixture, port, "/metrics"), "handfast_x_total 0\n"));
	assert_non_null(strstr(fetched(fixture, port, "/healthz/live"), " 200 OK\r\n"));
	assert_non_null(strstr(fetched(fixture, port, "/healthz/ready"), " 503 "));
	assert_non_null(strstr(fixture->answer, "no identity yet\n"));
	assert_non_null(strstr(fetched(fixture, port, "/healthz/started"), " 503 "));
	assert_non_null(strstr(fetched(fixture, port, "/healthz/listening"), " 503 "));
	assert_non_null(strstr(fetched(fixture, port, "/probe/app/liveness"), "/probe/app/liveness"));
}

static void D36_a_name_leads_to_metrics_and_health_alone(void **state)
{
	struct fixture *fixture = *state;
	const char *const taken[] = {
		"/metrics", "/healthz/live", "/healthz/ready", "/healthz/started", "/healthz/listening"};
	const char *const refused[] = {"/", "/check", "/connections", "/metrics"};
	for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
		assert_null(
			strstr(fetched_as(fixture, fixture->options.metrics_port, taken[i], "db.example"), " 403 "));
	assert_non_null(
		strstr(fetched_as(fixture, fixture->options.metrics_port, "/probe/app", "db.example"), " 403 "));
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		assert_non_null(
			strstr(fetched_as(fixture, fixture->options.admin_port, refused[i], "db.example"), " 403 "));
}

static void a_port_in_use_is_reported(void **state)
{
	struct fixture *fixture = *state;
	struct admin_pages pages = {0};
	struct admin *second = NULL;
	struct why why = {0};
	assert_int_not_equal(admin_new(fixture->loop, &fixture->options, &pages, &second, &why), ERR_NONE);
	assert_null(second);
	assert_true(why.got[0] != '\0');
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(every_operator_page_is_json_on_the_admin_port),
		TEST(D36_the_metrics_port_has_no_operator_page),
		TEST(metrics_and_probes_are_answered),
		TEST(D36_a_name_leads_to_metrics_and_health_alone),
		TEST(a_port_in_use_is_reported),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
