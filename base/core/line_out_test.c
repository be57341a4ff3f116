#include "base/core/cleanup.h"
#include "base/core/line_out.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

enum { NUM_LINES = 20000, LINE_LEN = 64, DEADLINE_S = 20 };

static size_t gap_line(uint64_t num, char out[LINE_OUT_MAX])
{
	return (size_t)snprintf(out, LINE_OUT_MAX, "%llu missing\n", (unsigned long long)num);
}

/* Blocking ends, as a shell and a container runtime pass them. */
struct ends {
	int read_fd, write_fd;
};

static struct ends pipe_open(void)
{
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	return (struct ends){fds[0], fds[1]};
}

static struct ends sockets_open(void)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	return (struct ends){fds[0], fds[1]};
}

static void ends_close(struct ends *ends)
{
	close(ends->read_fd);
	close(ends->write_fd);
}

static void write_numbered(struct line_out *out, unsigned number)
{
	char line[LINE_LEN + 1];
	snprintf(line, sizeof line, "%08u%055u\n", number, 0U);
	line_out_write(out, line, LINE_LEN);
}

/* Reads all that is buffered and checks that each line is whole. */
static unsigned read_whole_lines(int fd)
{
	static char text[NUM_LINES * LINE_LEN];
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	ssize_t more;
	size_t len = 0;
	while ((more = read(fd, text + len, sizeof text - len)) > 0)
		len += (size_t)more;
	assert_int_equal(len % LINE_LEN, 0);
	for (size_t at = 0; at < len; at += LINE_LEN)
		assert_int_equal(text[at + LINE_LEN - 1], '\n');
	return (unsigned)(len / LINE_LEN);
}

/* Without a reader no write blocks: what fits is buffered, the rest is counted, the next line reports the count. */
static void assert_never_waits(enum line_out_method way, struct ends ends)
{
	alarm(DEADLINE_S);
	char text[LINE_OUT_MAX] = "", expected[64];
	int flags = fcntl(ends.write_fd, F_GETFL);
	struct line_out *out = line_out_new_by(way, ends.write_fd, gap_line);
	for (unsigned i = 0; i < NUM_LINES; i++)
		write_numbered(out, i);
	uint64_t num_lost = line_out_num_lost(out);
	assert_int_equal(read_whole_lines(ends.read_fd) + num_lost, NUM_LINES);
	assert_true(num_lost > 0 && num_lost < NUM_LINES);
	write_numbered(out, 0);
	assert_true(read(ends.read_fd, text, sizeof text - 1) > 0);
	ssize_t rest = read(ends.read_fd, text + strlen(text), LINE_LEN); /* a socket returns one line per read */
	assert_true(rest > 0 || strlen(text) > LINE_LEN);
	snprintf(expected, sizeof expected, "%llu missing\n00000000", (unsigned long long)num_lost);
	assert_memory_equal(text, expected, strlen(expected));
	assert_int_equal(line_out_num_lost(out), num_lost);
	assert_int_equal(fcntl(ends.write_fd, F_GETFL), flags); /* the shell's descriptor is unchanged */
	line_out_free(out);
	ends_close(&ends);
	alarm(0);
}

static void finding_l7_a_pipe_without_a_reader_does_not_block(_unused_ void **state)
{
	assert_never_waits(LINE_OUT_REOPENED, pipe_open());
}

static void finding_l7_a_pipe_that_cannot_be_reopened_does_not_block(_unused_ void **state)
{
	assert_never_waits(LINE_OUT_NOWAIT, pipe_open());
	assert_never_waits(LINE_OUT_SPLICE, pipe_open());
	assert_never_waits(LINE_OUT_POLL, pipe_open()); /* the fallback when no descriptors are left for the others */
}

static void finding_l7_the_journal_does_not_block(_unused_ void **state)
{
	assert_never_waits(LINE_OUT_SEND, sockets_open());
}

static void each_kind_of_file_has_its_method(_unused_ void **state)
{
	struct ends pipe = pipe_open(), sockets = sockets_open();
	char name[] = "/tmp/line_out_XXXXXX";
	int file = mkstemp(name), null = open("/dev/null", O_WRONLY);
	assert_int_equal(line_out_best_method(pipe.write_fd), LINE_OUT_REOPENED);
	assert_int_equal(line_out_best_method(sockets.write_fd), LINE_OUT_SEND);
	assert_int_equal(line_out_best_method(file), LINE_OUT_FILE);
	assert_int_equal(line_out_best_method(null), LINE_OUT_REOPENED);
	struct line_out *out = line_out_new(file, gap_line);
	write_numbered(out, 1);
	assert_int_equal(lseek(file, 0, SEEK_END), LINE_LEN);
	line_out_free(out);
	unlink(name);
	close(file);
	close(null);
	ends_close(&pipe);
	ends_close(&sockets);
}

static void a_closed_reader_only_loses_lines(_unused_ void **state)
{
	static const enum line_out_method ways[] = {LINE_OUT_REOPENED, LINE_OUT_NOWAIT, LINE_OUT_SPLICE, LINE_OUT_POLL};
	signal(SIGPIPE, SIG_IGN); /* as in the programs */
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		struct ends ends = pipe_open();
		struct line_out *out = line_out_new_by(ways[i], ends.write_fd, gap_line);
		close(ends.read_fd);
		write_numbered(out, 1);
		assert_int_equal(line_out_num_lost(out), 1);
		line_out_free(out);
		close(ends.write_fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding_l7_a_pipe_without_a_reader_does_not_block),
		cmocka_unit_test(finding_l7_a_pipe_that_cannot_be_reopened_does_not_block),
		cmocka_unit_test(finding_l7_the_journal_does_not_block),
		cmocka_unit_test(each_kind_of_file_has_its_method),
		cmocka_unit_test(a_closed_reader_only_loses_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
