#include "sidecar/report/access_log.h"

#include "base/core/check.h"
#include "base/core/log_limit.h"
#include "base/net/fd.h"
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	int read_fd, write_fd;
	struct spiffe_id id;
	struct why detail;
	struct access_record record;
};

static int set_up(void **state)
{
	static struct fixture fixture;
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0); /* blocking, as a container runtime passes it */
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	fixture = (struct fixture){.read_fd = ends[0], .write_fd = ends[1]};
	assert_int_equal(spiffe_id_parse(span_of_str("spiffe://td.test/a"), &fixture.id, NULL), ERR_NONE);
	(void)why_set(&fixture.detail, ERR_DENIED, "a source that policy allows", "allow it", "no \"identity\"");
	fixture.record = (struct access_record){
		.direction = "inbound",
		.source_id = &fixture.id,
		.bytes_sent = 5,
		.ended_wall_ms = 1700000000123,
		.reason = "done",
		.encrypted = true,
		.key_exchange = "X25519MLKEM768",
		.rule = "default",
	};
	assert_int_equal(addr_parse(span_of_str("192.0.2.1:80"), &fixture.record.destination), ERR_NONE);
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	fd_close(fixture->read_fd);
	fd_close(fixture->write_fd);
	spiffe_id_done(&fixture->id);
	return 0;
}

static const char *written(struct fixture *fixture)
{
	static char text[256 * 1024 + 1];
	ssize_t len = read(fixture->read_fd, text, sizeof(text) - 1);
	text[len < 0 ? 0 : len] = '\0';
	return text;
}

static unsigned num_lines(struct fixture *fixture, enum access_log_mode mode, unsigned one_in, bool failed)
{
	struct access_log *log = access_log_new(mode, one_in, fixture->write_fd);
	fixture->record.failed = failed;
	for (unsigned i = 0; i < 10; i++)
		access_log_write(log, &fixture->record);
	access_log_free(log);
	unsigned num = 0;
	for (const char *at = written(fixture); (at = strchr(at, '\n')) != NULL; at++)
		num++;
	return num;
}

static void a_record_is_one_line_of_json(void **state)
{
	struct fixture *fixture = *state;
	struct access_log *log = access_log_new(ACCESS_LOG_ALL, 0, fixture->write_fd);
	fixture->record.detail = &fixture->detail;
	access_log_write(log, &fixture->record);
	access_log_free(log);
	const char *text = written(fixture);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	assert_string_equal(json_string_value(json_object_get(root, "time")), "2023-11-14T22:13:20.123Z");
	assert_string_equal(json_string_value(json_object_get(root, "source_id")), "spiffe://td.test/a");
	assert_null(json_object_get(root, "source"));
	assert_string_equal(json_string_value(json_object_get(root, "destination")), "192.0.2.1:80");
	assert_int_equal(json_integer_value(json_object_get(root, "bytes_sent")), 5);
	json_t *why = json_object_get(root, "detail");
	assert_string_equal(json_string_value(json_object_get(why, "got")), "no \"identity\"");
	json_decref(root);
}

static void each_mode_writes_its_lines(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(num_lines(fixture, ACCESS_LOG_OFF, 0, true), 0);
	assert_int_equal(num_lines(fixture, ACCESS_LOG_FAILURES, 0, false), 0);
	assert_int_equal(num_lines(fixture, ACCESS_LOG_FAILURES, 0, true), LOG_LIMIT_LINES);
	assert_int_equal(num_lines(fixture, ACCESS_LOG_ALL, 0, false), 10);
	assert_int_equal(num_lines(fixture, ACCESS_LOG_SAMPLED, 5, false), 2);
	assert_int_equal(num_lines(fixture, ACCESS_LOG_SAMPLED, 5, true), LOG_LIMIT_LINES);
}

/* The sum of the lines written in place of lost ones. A short one may fit where no record did. */
static uint64_t sum_of_gaps(const char *text)
{
	uint64_t sum = 0;
	for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
		json_t *root = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL);
		assert_non_null(root); /* every line is complete */
		if (strcmp(json_string_value(json_object_get(root, "reason")), "lines_lost") == 0)
			sum += (uint64_t)json_integer_value(json_object_get(root, "lost_lines"));
		json_decref(root);
	}
	return sum;
}

static void finding_l7_lines_that_a_stopped_reader_loses_are_counted_in_the_log(void **state)
{
	struct fixture *fixture = *state;
	struct access_log *log = access_log_new(ACCESS_LOG_ALL, 0, fixture->write_fd);
	for (unsigned i = 0; i < 5000; i++) /* the pipe has room for 256 KiB */
		access_log_write(log, &fixture->record);
	assert_in_range(access_log_num_lost(log), 1, 4999);
	uint64_t sum = sum_of_gaps(written(fixture));
	access_log_write(log, &fixture->record); /* the reader has caught up */
	assert_int_equal(sum + sum_of_gaps(written(fixture)), access_log_num_lost(log));
	access_log_free(log);
}

static void a_closed_reader_causes_lost_lines_only(void **state)
{
	struct fixture *fixture = *state;
	signal(SIGPIPE, SIG_IGN);
	struct access_log *log = access_log_new(ACCESS_LOG_ALL, 0, fixture->write_fd);
	fd_close(TAKE_FD(fixture->read_fd));
	access_log_write(log, &fixture->record);
	assert_int_equal(access_log_num_lost(log), 1);
	access_log_free(log);
}

static void the_longest_identities_fit_into_one_line(void **state)
{
	struct fixture *fixture = *state;
	char text[SPIFFE_ID_MAX + 1];
	memset(text, 'a', sizeof(text) - 1);
	memcpy(text, "spiffe://td.test/", 17);
	text[SPIFFE_ID_MAX] = '\0';
	struct spiffe_id longest = {.text = text, .text_len = SPIFFE_ID_MAX, .path_at = 16};
	fixture->record.source_id = fixture->record.destination_id = &longest;
	fixture->record.detail = &fixture->detail;
	struct access_log *log = access_log_new(ACCESS_LOG_ALL, 0, fixture->write_fd);
	access_log_write(log, &fixture->record);
	access_log_free(log);
	json_t *root = json_loads(written(fixture), JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	assert_non_null(strstr(json_string_value(json_object_get(root, "source_id")), "aaa..."));
	json_decref(root);
}

static unsigned count_of(const char *text, const char *part)
{
	unsigned num = 0;
	for (; (text = strstr(text, part)) != NULL; text++)
		num++;
	return num;
}

static void finding_l8_too_many_failures_of_one_identity_are_one_line(void **state)
{
	struct fixture *fixture = *state;
	struct access_log *log = access_log_new(ACCESS_LOG_FAILURES, 0, fixture->write_fd);
	struct spiffe_id other = {0};
	assert_int_equal(spiffe_id_parse(span_of_str("spiffe://td.test/b"), &other, NULL), ERR_NONE);
	fixture->record.failed = true;
	fixture->record.reason = "denied";
	for (unsigned i = 0; i < 100; i++)
		access_log_write(log, &fixture->record);
	fixture->record.source_id = &other;
	access_log_write(log, &fixture->record);
	fixture->record.source_id = NULL; /* a source without identity */
	access_log_write(log, &fixture->record);
	assert_int_equal(count_of(written(fixture), "\"reason\":\"denied\""), LOG_LIMIT_LINES + 2);
	access_log_sweep(log, LOG_LIMIT_WINDOW_MS);
	const char *text = written(fixture);
	json_t *line = json_loads(text, 0, NULL);
	assert_non_null(line);
	assert_string_equal(json_string_value(json_object_get(line, "reason")), "lines_suppressed");
	assert_string_equal(json_string_value(json_object_get(line, "suppressed_reason")), "denied");
	assert_string_equal(json_string_value(json_object_get(line, "of")), "spiffe://td.test/a");
	assert_int_equal(json_integer_value(json_object_get(line, "suppressed_lines")), 100 - LOG_LIMIT_LINES);
	assert_int_equal(access_log_num_suppressed(log), 100 - LOG_LIMIT_LINES);
	json_decref(line);
	spiffe_id_done(&other);
	access_log_free(log);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_record_is_one_line_of_json),
		TEST(each_mode_writes_its_lines),
		TEST(finding_l8_too_many_failures_of_one_identity_are_one_line),
		TEST(finding_l7_lines_that_a_stopped_reader_loses_are_counted_in_the_log),
		TEST(a_closed_reader_causes_lost_lines_only),
		TEST(the_longest_identities_fit_into_one_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
