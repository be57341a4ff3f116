/* The agent's side with the real handfast-init, in network namespaces of its own; needs root. */
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "intercept/apply.h"
#include "intercept/cni/answering.h"
#include "intercept/cni/message.h"
#include "intercept/cni/starter.h"
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

struct bench {
	struct loop *loop;
	struct node_pods *pods;
	struct answering *answering;
	struct starter *starter;
	char folder[32], path[64];
	int own_netns, pod_netns, fd;
	struct loop_io io;
	struct loop_timer deadline;
	struct buf in;
	enum err end;
};

static int open_netns(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void start_answering(struct bench *bench, const char *program, uint32_t wait_ms)
{
	struct why why;
	int listening;
	assert_int_equal(starter_new(program, &bench->starter, &why), ERR_NONE);
	assert_int_equal(socket_listen_unix(bench->path, 0600, NULL, &listening, &why), ERR_NONE);
	bench->answering = answering_new(&(struct answering_options){.loop = bench->loop,
		.pods = bench->pods,
		.starter = bench->starter,
		.listening_fd = listening,
		.wait_ms = wait_ms});
}

static int setup(void **state)
{
	struct bench *bench = mem_new(struct bench);
	*bench = (struct bench){.loop = loop_new(&clock_system), .pods = node_pods_new(), .fd = -1};
	bench->in = BUF_INIT(MESSAGE_MAX);
	bench->own_netns = open_netns();
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	bench->pod_netns = open_netns();
	assert_int_equal(setns(bench->own_netns, CLONE_NEWNET), 0);
	snprintf(bench->folder, sizeof bench->folder, "/tmp/answering.XXXXXX");
	assert_non_null(mkdtemp(bench->folder));
	snprintf(bench->path, sizeof bench->path, "%s/s", bench->folder);
	start_answering(bench, "intercept/handfast-init", 1000);
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;
	loop_io_stop(&bench->io);
	loop_timer_stop(&bench->deadline);
	fd_close(bench->fd);
	answering_free(bench->answering);
	starter_free(bench->starter);
	node_pods_free(bench->pods);
	loop_free(bench->loop);
	fd_close(bench->own_netns);
	fd_close(bench->pod_netns);
	buf_done(&bench->in);
	unlink(bench->path);
	rmdir(bench->folder);
	mem_free(bench);
	return 0;
}

static void put_pod(struct bench *bench, const char *annotation, const char *value)
{
	json_t *pod = json_pack("{s:{s:s, s:s, s:s, s:{s:s, s:s}}, s:{s:[{s:s}]}}", "metadata", "namespace", "shop",
		"name", "web", "uid", "u", "annotations", "handfast.dev/injected", "true", annotation, value, "spec",
		"initContainers", "name", "handfast");
	assert_int_equal(node_pods_put(bench->pods, pod), ERR_NONE);
	answering_pods_changed(bench->answering);
	json_decref(pod);
}

static void on_readable(struct loop_io *io, unsigned ready)
{
	struct bench *bench = container_of(io, struct bench, io);
	int unasked = -1;
	(void)ready;
	bench->end = message_receive(bench->fd, &bench->in, &unasked);
	if (bench->end == ERR_CLOSED)
		loop_stop(bench->loop);
}

static void on_deadline(struct loop_timer *timer)
{
	(void)timer;
	fail_msg("no answer");
}

static void ask(struct bench *bench, bool checks, int netns)
{
	_cleanup_(buf_done) struct buf line = BUF_INIT(MESSAGE_MAX);
	struct message_question question = {.checks = checks, .pod = {.namespace_ = "shop", .name = "web", .uid = "u"}};
	struct why why;
	buf_clear(&bench->in);
	loop_io_stop(&bench->io);
	fd_close(TAKE_FD(bench->fd));
	assert_int_equal(message_question_put(&question, &line), ERR_NONE);
	assert_int_equal(socket_connect_unix(bench->path, &bench->fd, &why), ERR_NONE);
	assert_int_equal(message_send(bench->fd, buf_span(&line), netns), ERR_NONE);
	loop_io_start(bench->loop, &bench->io, bench->fd, LOOP_READ, on_readable);
	loop_timer_start(bench->loop, &bench->deadline, 30000, on_deadline);
}

static struct message_answer await_answer(struct bench *bench)
{
	struct message_answer answer;
	loop_run(bench->loop);
	loop_timer_stop(&bench->deadline);
	assert_int_equal(message_answer_parse(buf_span(&bench->in), &answer), ERR_NONE);
	return answer;
}

/* The rules of the pod, as text; empty: none. */
static const char *rules_of_pod(struct bench *bench, struct buf *out)
{
	struct why why;
	assert_int_equal(setns(bench->pod_netns, CLONE_NEWNET), 0);
	_unused_
	enum err err = apply_list_table("handfast", out, &why);
	assert_int_equal(setns(bench->own_netns, CLONE_NEWNET), 0);
	return buf_cstr(out);
}

static void writes_the_rules_of_a_pod_into_its_namespace(void **state)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(65536);
	struct bench *bench = *state;
	put_pod(bench, "handfast.dev/exclude-outbound-ports", "9000, 9001");
	ask(bench, false, bench->pod_netns);
	struct message_answer answer = await_answer(bench);
	assert_string_equal(answer.detail.got, "");
	assert_int_equal(answer.verdict, MESSAGE_DONE);
	assert_non_null(strstr(rules_of_pod(bench, &text), "{ 9000, 9001 }"));
}

static void a_second_time_is_no_error(void **state)
{
	struct bench *bench = *state;
	put_pod(bench, "x", "y");
	for (int i = 0; i < 2; i++) {
		ask(bench, false, bench->pod_netns);
		assert_int_equal(await_answer(bench).verdict, MESSAGE_DONE);
	}
}

static void a_pod_that_comes_later_is_waited_for(void **state)
{
	struct bench *bench = *state;
	ask(bench, false, bench->pod_netns);
	for (int i = 0; i < 5; i++)
		loop_run_once(bench->loop, false);
	assert_int_equal(buf_len(&bench->in), 0);
	put_pod(bench, "x", "y");
	assert_int_equal(await_answer(bench).verdict, MESSAGE_DONE);
}

static void a_pod_that_does_not_come_is_for_later(void **state)
{
	struct bench *bench = *state;
	ask(bench, false, bench->pod_netns);
	struct message_answer answer = await_answer(bench);
	assert_int_equal(answer.verdict, MESSAGE_LATER);
	assert_non_null(strstr(answer.detail.got, "shop/web (uid u) is not known yet"));
}

static void missing_rules_are_found_and_not_written(void **state)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(65536);
	struct bench *bench = *state;
	put_pod(bench, "x", "y");
	ask(bench, true, bench->pod_netns);
	assert_int_equal(await_answer(bench).verdict, MESSAGE_FAILED);
	assert_string_equal(rules_of_pod(bench, &text), "");
}

static void the_nodes_own_namespace_is_left_alone(void **state)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(65536);
	struct bench *bench = *state;
	struct why why;
	put_pod(bench, "x", "y");
	ask(bench, false, bench->own_netns);
	assert_int_equal(await_answer(bench).verdict, MESSAGE_PASSED);
	assert_int_equal(apply_list_table("handfast", &text, &why), ERR_NOT_FOUND);
}

static void a_refusal_of_handfast_init_is_the_reason(void **state)
{
	struct bench *bench = *state;
	put_pod(bench, "handfast.dev/exclude-inbound-ports", "15001;reboot");
	ask(bench, false, bench->pod_netns);
	struct message_answer answer = await_answer(bench);
	assert_int_equal(answer.verdict, MESSAGE_FAILED);
	assert_non_null(strstr(answer.detail.got, "exit code 64 of handfast-init"));
}

/* A program that counts those that run at the same time: a line when it begins, one when it ends. By the shell alone,
 * since the starter's list of system calls has none for the programs that a shell starts. */
static void write_counter(const char *program, const char *log)
{
	FILE *file = fopen(program, "w");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\necho + >>%s\ni=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done\necho - >>%s\n", log,
		log);
	assert_int_equal(fchmod(fileno(file), 0700), 0);
	assert_int_equal(fclose(file), 0);
}

static void at_most_eight_runs_at_once_and_each_is_answered(void **state)
{
	enum { NUM = 30 };
	_cleanup_(buf_done) struct buf line = BUF_INIT(MESSAGE_MAX), log = BUF_INIT(4096);
	struct message_question question = {.pod = {.namespace_ = "shop", .name = "web", .uid = "u"}};
	struct bench *bench = *state;
	struct message_answer answer;
	int fds[NUM];
	_cleanup_(mem_freep) char *program = mem_printf("%s/program", bench->folder),
				  *saw = mem_printf("%s/saw", bench->folder);
	write_counter(program, saw);
	answering_free(bench->answering);
	starter_free(bench->starter);
	unlink(bench->path);
	start_answering(bench, program, 20000);
	put_pod(bench, "x", "y");
	assert_int_equal(message_question_put(&question, &line), ERR_NONE);
	for (int i = 0; i < NUM; i++) {
		assert_int_equal(socket_connect_unix(bench->path, &fds[i], NULL), ERR_NONE);
		assert_int_equal(message_send(fds[i], buf_span(&line), bench->pod_netns), ERR_NONE);
	}
	for (int i = 0; i < NUM; i++) {
		int unasked = -1;
		enum err err;
		buf_clear(&bench->in);
		while ((err = message_receive(fds[i], &bench->in, &unasked)) == ERR_UNAVAILABLE)
			loop_run_once(bench->loop, true);
		assert_int_equal(err, ERR_NONE);
		assert_int_equal(message_answer_parse(buf_span(&bench->in), &answer), ERR_NONE);
		assert_string_equal(answer.detail.got, "");
		assert_int_equal(answer.verdict, MESSAGE_DONE);
		fd_close(fds[i]);
	}
	assert_int_equal(fd_read_file(saw, 4096, &log, NULL), ERR_NONE);
	unsigned num = 0, running = 0, largest = 0;
	for (const char *at = buf_cstr(&log); *at != '\0'; at++) {
		num += *at == '+';
		running += *at == '+';
		running -= *at == '-';
		largest = running > largest ? running : largest;
	}
	assert_int_equal(num, NUM);
	assert_in_range(largest, 2, 8);
	unlink(saw), unlink(program);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(writes_the_rules_of_a_pod_into_its_namespace),
		TEST(a_second_time_is_no_error),
		TEST(a_pod_that_comes_later_is_waited_for),
		TEST(a_pod_that_does_not_come_is_for_later),
		TEST(missing_rules_are_found_and_not_written),
		TEST(the_nodes_own_namespace_is_left_alone),
		TEST(a_refusal_of_handfast_init_is_the_reason),
		TEST(at_most_eight_runs_at_once_and_each_is_answered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
