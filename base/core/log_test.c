#include "base/core/log.h"
#include <ctype.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

/* Captures the log: standard error is a pipe. */
struct capture {
	int read_fd, old_stderr;
	char text[8192];
};

static void capture_begin(struct capture *capture)
{
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	capture->read_fd = fds[0];
	capture->old_stderr = dup(STDERR_FILENO);
	assert_true(dup2(fds[1], STDERR_FILENO) == STDERR_FILENO);
	close(fds[1]);
}

static const char *capture_end(struct capture *capture)
{
	dup2(capture->old_stderr, STDERR_FILENO);
	close(capture->old_stderr);
	ssize_t len = read(capture->read_fd, capture->text, sizeof capture->text - 1);
	close(capture->read_fd);
	assert_true(len >= 0);
	capture->text[len] = '\0';
	return capture->text;
}

static int set_up(_unused_ void **state)
{
	log_set_json(false);
	log_set_level(LOG_LEVEL_NOTICE);
	return 0;
}

/* "2026-11-01T12:00:00.123Z", digits in place of digits. */
static void assert_is_time(const char *text)
{
	static const char shape[] = "0000-00-00T00:00:00.000Z";
	for (size_t i = 0; i < sizeof shape - 1; i++) {
		if (shape[i] == '0')
			assert_true(isdigit((unsigned char)text[i]));
		else
			assert_int_equal(text[i], shape[i]);
	}
}

static void writes_a_plain_line_with_its_time(_unused_ void **state)
{
	struct capture capture;
	capture_begin(&capture);
	log_warning("tunnel", "closed after %d streams", 3);
	const char *line = capture_end(&capture);
	assert_is_time(line);
	assert_string_equal(line + 24, " warning handfast tunnel: closed after 3 streams\n");
}

static void writes_json_with_every_field_of_why(_unused_ void **state)
{
	struct capture capture;
	struct why why;
	assert_int_equal(why_set(&why, ERR_CONFIG, "a \"port\"", "set one", "%s", "x\\y\n"), ERR_CONFIG);
	log_set_json(true);
	capture_begin(&capture);
	log_why(LOG_LEVEL_ERROR, "config", "cannot start", &why);
	const char *line = capture_end(&capture);
	static const char start[] = "{\"ts\":\"";
	assert_memory_equal(line, start, sizeof start - 1);
	assert_is_time(line + sizeof start - 1);
	assert_string_equal(line + sizeof start - 1 + 24,
		"\",\"level\":\"error\",\"program\":\"handfast\",\"component\":\"config\",\"text\":\"cannot start\","
		"\"err\":\"config\",\"expected\":\"a \\\"port\\\"\",\"got\":\"x\\\\y\\\\x0a\",\"fix\":\"set one\"}\n");
}

static void writes_every_field_of_why_in_a_plain_line(_unused_ void **state)
{
	struct capture capture;
	struct why why, silent = {.err = ERR_NONE}, bare = {.err = ERR_TIMEOUT};
	assert_int_equal(why_set(&why, ERR_CONFIG, "a port", "set one", "no port is set"), ERR_CONFIG);
	capture_begin(&capture);
	log_why(LOG_LEVEL_ERROR, "config", "cannot start", &why);
	assert_string_equal(capture_end(&capture) + 24,
		" error handfast config: cannot start: no port is set; expected: a port; fix: set one\n");
	capture_begin(&capture);
	log_why(LOG_LEVEL_ERROR, "config", "cannot start", &silent);
	assert_string_equal(capture_end(&capture) + 24, " error handfast config: cannot start\n");
	capture_begin(&capture);
	log_why(LOG_LEVEL_ERROR, "config", "cannot start", &bare);
	assert_string_equal(capture_end(&capture) + 24, " error handfast config: cannot start: timed out\n");
}

static void escapes_forged_lines_and_terminal_control_sequences(_unused_ void **state)
{
	struct capture capture;
	for (int json = 0; json < 2; json++) {
		log_set_json(json == 1);
		capture_begin(&capture);
		log_notice("conn", "name is '%s'", "a\n2026 error\x1b[2J\xc3\xa9\"},{\"");
		const char *line = capture_end(&capture);
		const char *newline = strchr(line, '\n');
		assert_ptr_equal(newline, line + strlen(line) - 1);
		for (const char *next = line; next < newline; next++)
			assert_true(*next >= 0x20 && *next < 0x7f);
		assert_non_null(strstr(line, json == 1 ? "a\\\\x0a2026" : "a\\x0a2026"));
		if (json == 1)
			assert_non_null(strstr(line, "\\\"},{\\\"'\"}\n"));
	}
}

static void keeps_an_enormous_line_whole_and_within_a_pipes_atomic_size(_unused_ void **state)
{
	static char enormous[20000];
	static const char bad[] = "\"\\\n";
	struct capture capture;
	struct why why;
	for (unsigned kind = 0; kind < sizeof bad - 1; kind++) {
		memset(enormous, bad[kind], sizeof enormous - 1);
		assert_int_equal(why_set(&why, ERR_CONFIG, enormous, enormous, "%s", enormous), ERR_CONFIG);
		log_set_json(true);
		capture_begin(&capture);
		log_why(LOG_LEVEL_ERROR, "config", enormous, &why);
		const char *line = capture_end(&capture);
		assert_true(strlen(line) <= 4096);
		assert_string_equal(line + strlen(line) - 3, "\"}\n");
		assert_non_null(strstr(line, "\"fix\":\""));
	}
}

static void logs_nothing_below_its_level(_unused_ void **state)
{
	struct capture capture;
	capture_begin(&capture);
	log_debug("conn", "quiet");
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("conn", "quiet");
	assert_string_equal(capture_end(&capture), "");
	log_set_level(LOG_LEVEL_DEBUG);
	assert_true(log_enabled(LOG_LEVEL_DEBUG));
	capture_begin(&capture);
	log_debug("conn", "loud");
	assert_non_null(strstr(capture_end(&capture), "debug handfast conn: loud\n"));
}

static void keep(void *arg, const char *text)
{
	char *kept = arg;
	(void)strncat(kept, text, 500);
	(void)strncat(kept, "\n", 2);
}

static void a_tap_gets_each_line_of_its_component(_unused_ void **state)
{
	char kept[2048] = "";
	struct why why = {0};
	(void)why_set(&why, ERR_DENIED, "root", "be root", "user %d", 7);
	log_set_level(LOG_LEVEL_ERROR);
	log_set_tap("audit", keep, kept);
	log_notice("audit", "first");
	log_notice("conn", "not this");
	log_why(LOG_LEVEL_WARNING, "audit", "refused", &why);
	log_why(LOG_LEVEL_WARNING, "audit", "no reason", &(struct why){0});
	log_why(LOG_LEVEL_WARNING, "conn", "not this", &why);
	log_set_tap(NULL, NULL, NULL);
	log_notice("audit", "nor this");
	assert_string_equal(kept, "first\nrefused: user 7; expected: root; fix: be root\nno reason\n");
}

enum { NUM_LINES = 5000, DEADLINE_S = 20 }; /* far more than a pipe holds */

/* A child whose standard error is a pipe that is read only after all is written. Without log_open() it would block
 * until SIGALRM ends it. */
static _Noreturn void write_without_a_reader(int fd, int parent)
{
	char byte = 0;
	alarm(DEADLINE_S);
	dup2(fd, STDERR_FILENO);
	close(STDIN_FILENO);
	log_open("child");
	bool is_good = fcntl(STDIN_FILENO, F_GETFD) >= 0;
	for (unsigned i = 0; i < NUM_LINES; i++)
		log_warning("conn", "line %u, and a text that makes it as long as lines of the log mostly are", i);
	is_good = is_good && log_num_lost() > 0 && log_num_lost() < NUM_LINES;
	is_good = write(parent, &byte, 1) == 1 && read(parent, &byte, 1) == 1 && is_good;
	log_warning("conn", "the last line");
	_exit(is_good ? 0 : 1);
}

static size_t read_until(int fd, char *text, size_t cap, const char *last)
{
	size_t len = 0;
	for (ssize_t more = 1;
		more > 0 && (len < strlen(last) || memcmp(text + len - strlen(last), last, strlen(last)) != 0);
		len += (size_t)more) {
		more = read(fd, text + len, cap - 1 - len);
		assert_true(more >= 0);
	}
	text[len] = '\0';
	return len;
}

static void finding_l7_a_stopped_reader_blocks_no_writer_and_gets_the_number_of_lost_lines(_unused_ void **state)
{
	static char text[512 * 1024];
	int lines[2], parent[2], status;
	char byte;
	assert_int_equal(pipe(lines), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, parent), 0);
	pid_t child = fork();
	if (child == 0)
		write_without_a_reader(lines[1], parent[1]);
	close(parent[1]);
	assert_int_equal(read(parent[0], &byte, 1), 1); /* all is written; the pipe is full */
	assert_int_equal(fcntl(lines[1], F_GETFL) & O_NONBLOCK, 0);
	close(lines[1]);
	assert_true(read(lines[0], text, sizeof text) > 4096);
	assert_int_equal(write(parent[0], &byte, 1), 1);
	read_until(lines[0], text, sizeof text, "the last line\n");
	close(lines[0]);
	close(parent[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_non_null(strstr(text, " lines of this log were dropped here"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(writes_a_plain_line_with_its_time, set_up),
		cmocka_unit_test_setup(writes_json_with_every_field_of_why, set_up),
		cmocka_unit_test_setup(writes_every_field_of_why_in_a_plain_line, set_up),
		cmocka_unit_test_setup(escapes_forged_lines_and_terminal_control_sequences, set_up),
		cmocka_unit_test_setup(keeps_an_enormous_line_whole_and_within_a_pipes_atomic_size, set_up),
		cmocka_unit_test_setup(logs_nothing_below_its_level, set_up),
		cmocka_unit_test_setup(a_tap_gets_each_line_of_its_component, set_up),
		cmocka_unit_test_setup(
			finding_l7_a_stopped_reader_blocks_no_writer_and_gets_the_number_of_lost_lines, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
