#include "base/core/limited_log.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static struct ip_addr parse(const char *text)
{
	struct ip_addr ip;
	assert_int_equal(ip_addr_parse(span_of_str(text), &ip), ERR_NONE);
	return ip;
}

/* The text that was written to standard error. */
static size_t captured(int fd, char *out, size_t cap)
{
	ssize_t len = pread(fd, out, cap - 1, 0);
	assert_true(len >= 0);
	out[len] = '\0';
	return (size_t)len;
}

static void finding_l8_reports_the_number_of_suppressed_lines(void **state)
{
	(void)state;
	struct clock_fake clock;
	clock_fake_init(&clock, 1800000000000);
	_cleanup_(loop_freep) struct loop *loop = loop_new(&clock.clock);
	_cleanup_(limited_log_freep) struct limited_log *log = limited_log_new(loop, "audit");
	struct ip_addr one = parse("2001:db8::1"), neighbor = parse("2001:db8::2"), other = parse("192.0.2.1");
	char path[] = "/tmp/limited_log_XXXXXX", text[4096];
	int file = mkstemp(path), saved = dup(STDERR_FILENO);
	assert_true(file >= 0 && saved >= 0 && unlink(path) == 0 && dup2(file, STDERR_FILENO) >= 0);
	unsigned written = 0;
	for (unsigned i = 0; i < 100; i++)
		written += limited_log_allows_source(log, i % 2 == 0 ? &one : &neighbor, "expired");
	assert_int_equal(written, LOG_LIMIT_LINES); /* one /64 is one source */
	assert_true(limited_log_allows_source(log, &other, "expired"));
	assert_true(limited_log_allows_identity(log, "spiffe://td/a", "denied"));
	for (unsigned i = 0; i < 12; i++) {
		clock_fake_advance(&clock, 1000);
		loop_run_once(loop, false);
	}
	assert_int_equal(limited_log_num_suppressed(log), 95);
	size_t len = captured(file, text, sizeof text);
	assert_true(dup2(saved, STDERR_FILENO) >= 0 && close(saved) == 0 && close(file) == 0);
	assert_non_null(strstr(text, "audit: 95 more lines about 2001:db8::1 (expired) were suppressed in 10 s\n"));
	assert_ptr_equal(strchr(text, '\n'), text + len - 1); /* one line */
	for (unsigned i = 0; i < 20; i++) {
		clock_fake_advance(&clock, 1000);
		loop_run_once(loop, false);
	}
	assert_true(limited_log_allows_source(log, &one, "expired"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding_l8_reports_the_number_of_suppressed_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
