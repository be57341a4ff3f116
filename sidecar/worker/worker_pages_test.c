#include "sidecar/worker/worker_pages.h"

#include "base/net/fd.h"
#include "base/net/socket.h"
#include "sidecar/leg/tcp_pair.h"
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum err __wrap_original_dst_get(int fd, const struct addr *peer, struct original_dst *out);
enum err __wrap_original_dst_get(int fd, const struct addr *peer, struct original_dst *out)
{
	(void)fd, (void)peer;
	return addr_parse(span_of_str("10.0.0.1:80"), &out->addr);
}

struct fixture {
	struct loop *loop;
	struct tls_context *client, *server;
	struct flow_control_memory *budget;
	struct worker *workers[1];
	struct http_server *pages;
	struct addr pages_at;
	uint16_t outbound;
	char answer[8192];
};

static void on_subscribe(void *arg, const struct addr *destination)
{
	(void)arg;
	(void)destination;
}

static void on_connections(void *arg, struct http_request *request)
{
	struct fixture *fixture = arg;
	if (strcmp(http_request_query(request), "by=source") == 0)
		worker_page_sources(request, fixture->workers, 1, fixture->loop);
	else
		worker_page_connections(request, fixture->workers, 1, fixture->loop);
}

static void on_tunnels(void *arg, struct http_request *request)
{
	struct fixture *fixture = arg;
	worker_page_tunnels(request, fixture->workers, 1, fixture->loop);
}

static struct fixture fixture;
static const struct http_page pages[] = {
	{"/connections", on_connections, &fixture}, {"/tunnels", on_tunnels, &fixture}};

static uint16_t free_port(void)
{
	struct addr at;
	fd_close(tcp_listen_any(&at));
	return at.port;
}

static int set_up(void **state)
{
	fixture = (struct fixture){.loop = loop_new(&clock_system), .outbound = free_port()};
	fixture.client = tls_context_new(&(struct tls_context_options){.role = TLS_CLIENT, .alpn = "h2"});
	fixture.server = tls_context_new(&(struct tls_context_options){.role = TLS_SERVER, .alpn = "h2"});
	fixture.budget = flow_control_memory_new(1 << 20);
	fixture.pages = http_server_new(fixture.loop, tcp_listen_any(&fixture.pages_at), pages, 2);
	struct worker_options options = {
		.ports = {fixture.outbound, free_port(), free_port()},
		.conn_limits = {.max = 8},
		.timeouts = {.resolve = 60000, .connect = 1000},
		.client_context = fixture.client,
		.server_context = fixture.server,
		.budget = fixture.budget,
		.clock = &clock_system,
		.on_subscribe = on_subscribe,
		.outbound_mode = OUTBOUND_AUTO,
	};
	assert_int_equal(worker_new(&options, &fixture.workers[0], NULL), ERR_NONE);
	worker_start(fixture.workers[0]);
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	worker_free(fixture.workers[0]);
	http_server_free(fixture.pages);
	loop_free(fixture.loop);
	flow_control_memory_free(fixture.budget);
	tls_context_free(fixture.client);
	tls_context_free(fixture.server);
	return 0;
}

static int dial(const struct addr *at)
{
	int fd = -1;
	assert_int_equal(socket_connect(at, &(struct socket_connect_options){0}, &fd), ERR_NONE);
	struct pollfd writable = {.fd = fd, .events = POLLOUT};
	assert_int_equal(poll(&writable, 1, 5000), 1);
	return fd;
}

/* The page's JSON; a new reference. */
static json_t *fetch(const char *path)
{
	_cleanup_fd_ int fd = dial(&fixture.pages_at);
	char text[128];
	int len = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
	assert_int_equal(write(fd, text, (size_t)len), len);
	for (size_t num = 0;;) {
		loop_run_once(fixture.loop, false);
		ssize_t got = read(fd, fixture.answer + num, sizeof(fixture.answer) - 1 - num);
		if (got < 0 && errno == EAGAIN)
			continue;
		num += got > 0 ? (size_t)got : 0;
		fixture.answer[num] = '\0';
		if (got <= 0)
			return json_loads(strstr(fixture.answer, "\r\n\r\n"), JSON_REJECT_DUPLICATES, NULL);
	}
}

static json_int_t number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

/* The page with one outbound connection, which waits; a new reference. */
static json_t *fetch_with_one(int *out_app)
{
	struct addr at = {.ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}}, .port = fixture.outbound};
	*out_app = dial(&at);
	json_t *page = NULL;
	for (unsigned i = 0; i < 1000 && (page == NULL || number(page, "total") == 0); i++) {
		json_decref(page);
		page = fetch("/connections");
	}
	assert_int_equal(number(page, "total"), 1);
	return page;
}

static void the_page_shows_a_parked_connection_with_its_step(void **state)
{
	(void)state;
	_cleanup_fd_ int app = -1;
	json_t *page = fetch_with_one(&app);
	assert_int_equal(number(page, "shown"), 1);
	json_t *row = json_array_get(json_object_get(page, "connections"), 0);
	assert_string_equal(json_string_value(json_object_get(row, "direction")), "outbound");
	assert_string_equal(json_string_value(json_object_get(row, "step")), "resolve");
	assert_string_equal(json_string_value(json_object_get(row, "destination")), "10.0.0.1:80");
	assert_true(json_is_null(json_object_get(row, "peer")));
	json_decref(page);
}

/* Inbound ones need a mesh: test/integration/272_policy_is_explained.py counts them. */
static void outbound_connections_are_not_counted_by_source(void **state)
{
	(void)state;
	_cleanup_fd_ int app = -1;
	json_t *page = fetch_with_one(&app);
	json_decref(page);
	page = fetch("/connections?by=source");
	assert_int_equal(number(page, "total"), 0);
	assert_int_equal(number(page, "shown"), 0);
	assert_int_equal(json_array_size(json_object_get(page, "sources")), 0);
	json_decref(page);
}

static void the_page_without_tunnels_has_an_empty_list(void **state)
{
	(void)state;
	json_t *page = fetch("/tunnels");
	assert_int_equal(number(page, "total"), 0);
	assert_int_equal(json_array_size(json_object_get(page, "tunnels")), 0);
	json_decref(page);
}

static void note_totals(void *arg, const struct worker_totals *totals)
{
	assert_int_equal(totals->num_connections, 0);
	*(bool *)arg = true;
}

static void totals_are_reported_on_the_loop_given(void **state)
{
	(void)state;
	bool has_come = false;
	worker_gather_totals(fixture.workers, 1, fixture.loop, note_totals, &has_come);
	while (!has_come)
		loop_run_once(fixture.loop, true);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_page_shows_a_parked_connection_with_its_step),
		TEST(outbound_connections_are_not_counted_by_source),
		TEST(the_page_without_tunnels_has_an_empty_list),
		TEST(totals_are_reported_on_the_loop_given),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
