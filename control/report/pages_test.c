#include "base/core/mem.h"
#include "base/net/socket.h"
#include "control/report/control_metrics.h"
#include "control/report/pages.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires the four above */
#include <cmocka.h>

static void list_obstacles(void *arg, struct buf *out)
{
	if (!*(bool *)arg)
		assert_int_equal(buf_append_str(out, "disk: full\n"), ERR_NONE);
}

static void list_conditions(_unused_ void *arg, struct buf *out)
{
	assert_int_equal(buf_append_str(out, "degraded: store: full\n"), ERR_NONE);
}

static void put_rows(_unused_ void *arg, struct buf *out)
{
	assert_int_equal(buf_append_str(out, "one_more_row 1\n"), ERR_NONE);
}

static void get(struct loop *loop, const struct addr *at, const char *request, char *answer, size_t cap)
{
	struct sockaddr_storage to;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = addr_to_sockaddr(at, &to);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, len), 0);
	assert_true(write(fd, request, strlen(request)) > 0);
	size_t got = 0;
	for (;;) {
		loop_run_once(loop, false);
		ssize_t more = recv(fd, answer + got, cap - got - 1, MSG_DONTWAIT);
		if (more == 0)
			break;
		got += more > 0 ? (size_t)more : 0;
	}
	answer[got] = 0;
	close(fd);
}

static void D36_answers_probes_and_refuses_methods_that_change_state(void **state)
{
	(void)state;
	bool ready = false;
	char answer[65536];
	struct loop *loop = loop_new(&clock_system);
	struct metrics *metrics = control_metrics_new();
	struct addr at;
	int fd;
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("127.0.0.1"), &at.ip), ERR_NONE);
	at.port = 0;
	struct socket_listen_options listen = {0};
	assert_int_equal(socket_listen(&at, &listen, &fd, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(fd, &at), ERR_NONE);
	const struct pages_options options = {.loop = loop,
		.listening_fd = fd,
		.metrics = metrics,
		.list_obstacles = list_obstacles,
		.list_conditions = list_conditions,
		.put_rows = put_rows,
		.arg = &ready};
	struct pages *pages = pages_new(&options);
	get(loop, &at, "GET /healthz/ready HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", answer, sizeof answer);
	assert_non_null(strstr(answer, " 503 "));
	assert_non_null(strstr(answer, "not ready\ndisk: full\n"));
	ready = true;
	get(loop, &at, "GET /healthz/ready HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", answer, sizeof answer);
	assert_non_null(strstr(answer, " 200 "));
	assert_non_null(strstr(answer, "\r\n\r\nready\ndegraded: store: full\n"));
	get(loop, &at, "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", answer, sizeof answer);
	assert_non_null(strstr(answer, "handfast_control_streams 0\n"));
	assert_non_null(strstr(answer, "\none_more_row 1\n"));
	get(loop, &at, "GET /metrics HTTP/1.1\r\nHost: control.example:15014\r\n\r\n", answer, sizeof answer);
	assert_non_null(strstr(answer, " 200 "));
	get(loop, &at, "GET /state HTTP/1.1\r\nHost: control.example:15014\r\n\r\n", answer, sizeof answer);
	assert_non_null(strstr(answer, " 403 "));
	get(loop, &at, "POST /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n", answer, sizeof answer);
	assert_non_null(strstr(answer, " 405 "));
	pages_free(pages);
	metrics_free(metrics);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(D36_answers_probes_and_refuses_methods_that_change_state)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
