/* The program itself, as the stories drive it: what it prints for what it reads. */
#include "base/core/base64.h"
#include "base/core/mem.h"
#include "base/kube/test_folder.h"
#include "base/kube/test_server.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define PROGRAM "base/kube/kube_watcher"

struct world {
	struct test_server server;
	struct test_folder *folder;
	pid_t child;
	int to_child, from_child;
	char printed[4096];
	size_t len;
};

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	void *folder;
	if (test_folder_set_up(&folder) != 0)
		return -1;
	world->folder = folder;
	world->child = -1;
	world->to_child = world->from_child = -1;
	test_server_init(&world->server);
	signal(SIGPIPE, SIG_IGN);
	*state = world;
	return 0;
}

/* Its exit code, after the end of its input. */
static int end_of(struct world *world)
{
	int status = -1;
	if (world->to_child >= 0)
		close(world->to_child);
	world->to_child = -1;
	assert_int_equal(waitpid(world->child, &status, 0), world->child);
	world->child = -1;
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int tear_down(void **state)
{
	struct world *world = *state;
	void *folder = world->folder;
	if (world->child > 0)
		(void)end_of(world);
	if (world->from_child >= 0)
		close(world->from_child);
	test_server_done(&world->server);
	mem_free(world);
	return test_folder_tear_down(&folder);
}

static void start(struct world *world, const char *argument)
{
	int in[2], out[2];
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	world->child = fork();
	assert_true(world->child >= 0);
	if (world->child == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execl(PROGRAM, PROGRAM, argument, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	world->to_child = in[1];
	world->from_child = out[0];
	assert_int_equal(fcntl(world->from_child, F_SETFL, O_NONBLOCK), 0);
}

/* With a kubeconfig of the server. */
static void start_for_server(struct world *world)
{
	_cleanup_(buf_done) struct buf ca = BUF_INIT(16384);
	_cleanup_(mem_freep) char *path = test_folder_path(world->folder, "kubeconfig");
	assert_int_equal(base64_encode(buf_span(&world->server.config.ca_pem), &ca), ERR_NONE);
	_cleanup_(mem_freep) char *text = mem_printf("apiVersion: v1\nkind: Config\ncurrent-context: c\n"
						     "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
						     "clusters: [{name: k, cluster: {server: 'https://127.0.0.1:%u', "
						     "certificate-authority-data: %s}}]\n"
						     "users: [{name: u, user: {token: secret}}]\n",
		(unsigned)world->server.config.port, buf_cstr(&ca));
	test_folder_put(world->folder, "kubeconfig", text, 0600);
	start(world, path);
}

static void ask(const struct world *world, const char *line)
{
	assert_int_equal(write(world->to_child, line, strlen(line)), (ssize_t)strlen(line));
}

static bool has_printed(struct world *world, const char *text)
{
	ssize_t len = read(world->from_child, world->printed + world->len, sizeof world->printed - 1 - world->len);
	world->len += len > 0 ? (size_t)len : 0;
	world->printed[world->len] = '\0';
	return strstr(world->printed, text) != NULL;
}

static void expect_printed(struct world *world, const char *text)
{
	if (!test_server_run(&world->server, has_printed(world, text)))
		fail_msg("expected %s, printed: %s", text, world->printed);
}

static void without_a_kubeconfig_it_ends_with_the_reason(void **state)
{
	struct world *world = *state;
	_cleanup_(mem_freep) char *none = test_folder_path(world->folder, "none");
	start(world, NULL);
	expect_printed(world, "kube_watcher failed config: 0 arguments are given; expected: kube_watcher KUBECONFIG");
	assert_int_equal(end_of(world), 1);
	close(world->from_child);
	start(world, none);
	expect_printed(world, none);
	assert_int_equal(end_of(world), 1);
}

static void a_request_is_printed_with_its_answer(void **state)
{
	struct world *world = *state;
	start_for_server(world);
	ask(world, "get /ver");
	ask(world, "sion\nget /other\n"); /* lines come in any pieces */
	struct test_request *second = test_server_await(&world->server, 2);
	assert_string_equal(world->server.requests[0].path, "/version");
	assert_string_equal(world->server.requests[0].authorization, "Bearer secret");
	test_answer(second, "404", "none");
	expect_printed(world, "/other answer 404 4\n");
	test_answer(&world->server.requests[0], "200", "1.34.0");
	expect_printed(world, "/version answer 200 6\n");
	assert_int_equal(end_of(world), 0);
}

static void a_request_that_fails_is_printed_with_the_reason(void **state)
{
	struct world *world = *state;
	test_server_stop_listening(&world->server);
	start_for_server(world);
	ask(world, "get /version\n");
	expect_printed(world, "/version failed ");
	expect_printed(world, "expected: ");
}

static void the_events_of_a_watch_are_lines_and_are_counted(void **state)
{
	struct world *world = *state;
	start_for_server(world);
	ask(world, "watch /api/v1/pods\n");
	struct test_request *request = test_server_await(&world->server, 1);
	assert_non_null(strstr(request->path, "/api/v1/pods?"));
	test_answer_begin(request, "200", NULL, NULL);
	test_send_text(request, "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"cart-1\","
				"\"resourceVersion\":\"5\"}}}\n");
	test_send_text(request, "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":"
				"\"10\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n");
	expect_printed(world, "/api/v1/pods begin\n/api/v1/pods put cart-1 5\n/api/v1/pods synced\n");
	test_send_text(request, "{\"type\":\"DELETED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"cart-1\","
				"\"resourceVersion\":\"11\"}}}\n");
	expect_printed(world, "/api/v1/pods deleted cart-1 11\n");
	ask(world, "count\n");
	expect_printed(world, "\ncount 1 1 ");
	ask(world, "stop /api/v1/pods\nget /after\n");
	test_answer(test_server_await(&world->server, 2), "200", "");
	expect_printed(world, "/after answer 200 0\n");
	assert_int_equal(end_of(world), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_a_kubeconfig_it_ends_with_the_reason),
		TEST(a_request_is_printed_with_its_answer),
		TEST(a_request_that_fails_is_printed_with_the_reason),
		TEST(the_events_of_a_watch_are_lines_and_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
