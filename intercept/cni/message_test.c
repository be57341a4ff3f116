#include "base/net/fd.h"
#include "intercept/cni/message.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

static const struct message_question QUESTION = {
	.checks = true, .pod = {.namespace_ = "shop", .name = "web-0", .uid = "u-1"}};

static void a_question_survives(void **state)
{
	_cleanup_(buf_done) struct buf line = BUF_INIT(MESSAGE_MAX);
	struct message_question read = {0};
	(void)state;
	assert_int_equal(message_question_put(&QUESTION, &line), ERR_NONE);
	assert_int_equal(message_question_parse(buf_span(&line), &read), ERR_NONE);
	assert_true(read.checks);
	assert_string_equal(read.pod.namespace_, "shop");
	assert_string_equal(read.pod.name, "web-0");
	assert_string_equal(read.pod.uid, "u-1");
}

static void an_answer_survives(void **state)
{
	(void)state;
	for (int i = MESSAGE_DONE; i <= MESSAGE_FAILED; i++) {
		_cleanup_(buf_done) struct buf line = BUF_INIT(MESSAGE_MAX);
		struct message_answer answer = {.verdict = (enum message_verdict)i}, read;
		assert_int_equal(why_set(&answer.detail, ERR_SYSTEM, "e", "f", "g"), ERR_SYSTEM);
		assert_int_equal(message_answer_put(&answer, &line), ERR_NONE);
		assert_int_equal(message_answer_parse(buf_span(&line), &read), ERR_NONE);
		assert_int_equal(read.verdict, i);
		assert_string_equal(read.detail.got, "g");
		assert_string_equal(read.detail.expected, "e");
		assert_string_equal(read.detail.fix, "f");
	}
}

static void refuses_other_texts(void **state)
{
	static const char *const lines[] = {"", "[]", "{}", "{\"command\":\"add\"}",
		"{\"command\":\"del\",\"namespace\":\"a\",\"pod\":\"b\",\"uid\":\"\"}",
		"{\"command\":\"add\",\"namespace\":\"a\",\"pod\":\"\",\"uid\":\"\"}", "{\"verdict\":\"maybe\"}",
		"{\"verdict\":\"done\"}"};
	struct message_question question;
	struct message_answer answer;
	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		assert_int_equal(message_question_parse(span_of_str(lines[i]), &question), ERR_MALFORMED);
		assert_int_equal(message_answer_parse(span_of_str(lines[i]), &answer), ERR_MALFORMED);
	}
}

static void a_descriptor_travels_along(void **state)
{
	_cleanup_(buf_done) struct buf in = BUF_INIT(MESSAGE_MAX);
	_cleanup_fd_ int one = -1, other = -1, null = open("/dev/null", O_RDONLY | O_CLOEXEC), got = -1;
	struct stat sent = {0}, received = {0};
	int pair[2];
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	one = pair[0], other = pair[1];
	assert_int_equal(message_receive(other, &in, &got), ERR_UNAVAILABLE);
	assert_int_equal(message_send(one, SPAN_LITERAL("a\n"), null), ERR_NONE);
	assert_int_equal(message_receive(other, &in, &got), ERR_NONE);
	assert_string_equal(buf_cstr(&in), "a\n");
	assert_true(got >= 0 && fstat(got, &received) == 0 && fstat(null, &sent) == 0);
	assert_true(received.st_rdev == sent.st_rdev);
	assert_int_equal(fcntl(got, F_GETFD), FD_CLOEXEC);
	fd_close(TAKE_FD(one));
	assert_int_equal(message_receive(other, &in, &got), ERR_CLOSED);
}

static void a_second_descriptor_is_closed(void **state)
{
	_cleanup_(buf_done) struct buf in = BUF_INIT(MESSAGE_MAX);
	_cleanup_fd_ int one = -1, other = -1, null = open("/dev/null", O_RDONLY | O_CLOEXEC), got = -1;
	int pair[2];
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	one = pair[0], other = pair[1];
	assert_int_equal(message_send(one, SPAN_LITERAL("a"), null), ERR_NONE);
	assert_int_equal(message_receive(other, &in, &got), ERR_NONE);
	int first = got, next = fcntl(null, F_DUPFD_CLOEXEC, 0);
	fd_close(next);
	assert_int_equal(message_send(one, SPAN_LITERAL("b"), null), ERR_NONE);
	assert_int_equal(message_receive(other, &in, &got), ERR_NONE);
	assert_int_equal(got, first);
	assert_int_equal(fcntl(next, F_GETFD), -1); /* where the second one was */
}

static void two_descriptors_of_one_message_do_not_leak(void **state)
{
	_cleanup_(buf_done) struct buf in = BUF_INIT(MESSAGE_MAX);
	_cleanup_fd_ int one = -1, other = -1, null = open("/dev/null", O_RDONLY | O_CLOEXEC), got = -1;
	union {
		struct cmsghdr header; /* aligns it */
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = {0};
	struct iovec part = {.iov_base = "a", .iov_len = 1};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes};
	int pair[2], two[2] = {null, null};
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	one = pair[0], other = pair[1];
	control.header = (struct cmsghdr){
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(2 * sizeof(int))};
	memcpy(CMSG_DATA(&control.header), two, sizeof two);
	assert_int_equal(sendmsg(one, &message, 0), 1);
	int next = fcntl(null, F_DUPFD_CLOEXEC, 0);
	fd_close(next);
	assert_int_equal(message_receive(other, &in, &got), ERR_NONE);
	assert_int_equal(got, next);
	int after = fcntl(null, F_DUPFD_CLOEXEC, 0);
	fd_close(after);
	assert_int_equal(after, next + 1); /* the second one is closed */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_survives),
		cmocka_unit_test(an_answer_survives),
		cmocka_unit_test(refuses_other_texts),
		cmocka_unit_test(a_descriptor_travels_along),
		cmocka_unit_test(a_second_descriptor_is_closed),
		cmocka_unit_test(two_descriptors_of_one_message_do_not_leak),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
