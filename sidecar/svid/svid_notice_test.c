#include "sidecar/svid/svid_notice.h"

#include "base/core/cleanup.h"
#include "base/net/fd.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void reads_names_of_signals(void **state)
{
	(void)state;
	assert_int_equal(svid_signal_parse("HUP"), SIGHUP);
	assert_int_equal(svid_signal_parse("SIGUSR2"), SIGUSR2);
	assert_int_equal(svid_signal_parse("KILL"), 0);
	assert_int_equal(svid_signal_parse("1"), 0);
	assert_int_equal(svid_signal_parse(""), 0);
}

static void refuses_what_is_no_process(void **state)
{
	static const char *const bad[] = {
		"", "\n", "0", "1", "-5", "+5", " 5", "5x", "5 6", "0x10", "4194305", "99999999999999999999", "5\n\n6"};
	int pid = 7;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(svid_pid_parse(span_of_str(bad[i]), &pid), ERR_MALFORMED);
	assert_int_equal(pid, 7);
	assert_int_equal(svid_pid_parse(SPAN_LITERAL("4194304"), &pid), ERR_NONE);
	assert_int_equal(pid, 4194304);
	assert_int_equal(svid_pid_parse(SPAN_LITERAL("12\n"), &pid), ERR_NONE);
	assert_int_equal(pid, 12);
}

static volatile sig_atomic_t num_signals;

static void on_signal(int number)
{
	(void)number;
	num_signals++;
}

static void sends_the_signal_to_the_process_of_the_pid_file(void **state)
{
	char path[] = "/tmp/svid_notice_XXXXXX", text[32];
	(void)state;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	assert_int_equal(write(fd, text, (size_t)len), len);
	signal(SIGUSR1, on_signal);
	_cleanup_(loop_freep) struct loop *loop = loop_new(&clock_system);
	struct svid_notice *notice =
		svid_notice_new(loop, &(struct svid_notice_spec){.signal = SIGUSR1, .pid_file = path});
	svid_notice_give(notice);
	assert_int_equal(num_signals, 1);
	assert_int_equal(ftruncate(fd, 0), 0);
	svid_notice_give(notice); /* logged; the files are good */
	assert_int_equal(num_signals, 1);
	svid_notice_free(notice);
	close(fd);
	unlink(path);
}

static void runs_the_program_again_when_the_files_changed_meanwhile(void **state)
{
	char folder[] = "/tmp/svid_notice_XXXXXX", path[64], marks[64];
	struct stat found = {0};
	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/program", folder);
	(void)snprintf(marks, sizeof(marks), "%s/marks", folder);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fprintf(file, "#!/bin/sh\nprintf x >> %s\n", marks) > 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0700), 0);
	_cleanup_(loop_freep) struct loop *loop = loop_new(&clock_system);
	struct svid_notice *notice = svid_notice_new(loop, &(struct svid_notice_spec){.program = path});
	svid_notice_give(notice);
	assert_true(svid_notice_is_running(notice));
	svid_notice_give(notice);
	svid_notice_give(notice);
	while (svid_notice_is_running(notice))
		loop_run_once(loop, true);
	assert_int_equal(stat(marks, &found), 0);
	assert_int_equal(found.st_size, 2);
	svid_notice_free(notice);
	unlink(marks);
	unlink(path);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_names_of_signals),
		cmocka_unit_test(refuses_what_is_no_process),
		cmocka_unit_test(sends_the_signal_to_the_process_of_the_pid_file),
		cmocka_unit_test(runs_the_program_again_when_the_files_changed_meanwhile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
