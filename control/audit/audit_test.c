#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/audit/audit.h"
#include "control/audit/audit_verify.h"
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka requires the four above */
#include <cmocka.h>

struct world {
	char folder[64], path[80];
	struct audit *audit;
	struct why detail;
};

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	snprintf(world->folder, sizeof world->folder, "/tmp/auditXXXXXX");
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->path, sizeof world->path, "%s/audit.log", world->folder);
	assert_int_equal(audit_open(world->folder, &audit_on_disk, &world->audit, &world->detail), ERR_NONE);
	log_set_level(LOG_LEVEL_ERROR); /* the audit log does not depend on it */
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	if (world->audit != NULL)
		audit_close(world->audit);
	_cleanup_(mem_freep) char *command = mem_printf("rm -rf %s", world->folder);
	assert_int_equal(system(command), 0);
	mem_free(world);
	return 0;
}

static void reopen(struct world *world)
{
	audit_close(TAKE_PTR(world->audit));
	assert_int_equal(audit_open(world->folder, &audit_on_disk, &world->audit, &world->detail), ERR_NONE);
}

/* The number of the last line of the chain; `out_err`: what verifying found. */
static unsigned verified(const struct world *world, enum err *out_err)
{
	_cleanup_(mem_freep) char *line = NULL;
	_cleanup_(audit_verify_done) struct audit_verify verify;
	size_t cap = 0;
	FILE *file = fopen(world->path, "r");
	assert_non_null(file);
	audit_verify_init(&verify);
	*out_err = ERR_NONE;
	for (ssize_t len; *out_err == ERR_NONE && (len = getline(&line, &cap, file)) > 0;)
		*out_err = audit_verify_line(
			&verify, span_of((uint8_t *)line, (size_t)len - (line[len - 1] == '\n')), NULL);
	fclose(file);
	return (unsigned)verify.chain.number;
}

static unsigned num_good(const struct world *world)
{
	enum err err;
	unsigned num = verified(world, &err);
	assert_int_equal(err, ERR_NONE);
	return num;
}

static void read_file(const char *path, struct buf *out)
{
	char text[512];
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	for (size_t len; (len = fread(text, 1, sizeof text, file)) > 0;)
		assert_int_equal(buf_append(out, span_of((uint8_t *)text, len)), ERR_NONE);
	fclose(file);
}

static void events_of_the_component_alone_are_kept_whatever_the_level(void **state)
{
	struct world *world = *state;
	struct stat found;
	log_notice("audit", "banned: %s", "spiffe://td/a");
	log_notice("serve", "something else");
	log_warning("audit", "attest refused");
	assert_int_equal(num_good(world), 2);
	assert_int_equal(stat(world->path, &found), 0);
	assert_int_equal(found.st_mode & 07777, 0600);
}

static void C19_a_restart_continues_the_chain(void **state)
{
	struct world *world = *state;
	log_notice("audit", "one");
	reopen(world);
	log_notice("audit", "two");
	reopen(world);
	log_notice("audit", "three");
	assert_int_equal(num_good(world), 3);
}

static void write_end(const struct world *world, const char *text)
{
	FILE *file = fopen(world->path, "a");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void C19_a_line_that_a_crash_has_cut_ends_nothing(void **state)
{
	struct world *world = *state;
	log_notice("audit", "one");
	audit_close(TAKE_PTR(world->audit));
	write_end(world, "{\"number\":2,\"time\":\"2026");
	assert_int_equal(audit_open(world->folder, &audit_on_disk, &world->audit, &world->detail), ERR_NONE);
	log_notice("audit", "two");
	assert_int_equal(num_good(world), 3); /* with the one that states what was cut */
}

static off_t size_of(const struct world *world)
{
	struct stat found;
	assert_int_equal(stat(world->path, &found), 0);
	return found.st_size;
}

/* At each byte of what is written after a start, the statement of the crash before included; then once more. */
static void C19_a_crash_at_any_byte_is_gone_on_from(void **state)
{
	struct world *world = *state;
	log_notice("audit", "the line before");
	off_t before = size_of(world);
	log_notice("audit", "the line that is cut, with a \" and a \\");
	for (off_t end = size_of(world), to = before; to <= end; to++) {
		_cleanup_(buf_done) struct buf file = BUF_INIT(65536);
		read_file(world->path, &file);
		audit_close(TAKE_PTR(world->audit));
		assert_int_equal(truncate(world->path, to), 0);
		assert_int_equal(audit_open(world->folder, &audit_on_disk, &world->audit, &world->detail), ERR_NONE);
		log_notice("audit", "after the crash");
		bool was_cut = to > before && to < end - 1;
		assert_int_equal(num_good(world), to >= end - 1 ? 3 : was_cut ? 3 : 2);
		audit_close(TAKE_PTR(world->audit));
		assert_int_equal(truncate(world->path, to + 30), 0); /* within the statement, or the next line */
		assert_int_equal(audit_open(world->folder, &audit_on_disk, &world->audit, &world->detail), ERR_NONE);
		log_notice("audit", "after another one");
		assert_true(num_good(world) >= 3);
		assert_int_equal(truncate(world->path, 0), 0);
		write_end(world, buf_cstr(&file));
		audit_close(TAKE_PTR(world->audit));
		assert_int_equal(audit_open(world->folder, &audit_on_disk, &world->audit, &world->detail), ERR_NONE);
	}
}

/* The first line of all, in a file that has no whole one. */
static void C19_a_crash_within_the_first_line_is_gone_on_from(void **state)
{
	struct world *world = *state;
	audit_close(TAKE_PTR(world->audit));
	write_end(world, "{\"number\":1,\"ti");
	assert_int_equal(audit_open(world->folder, &audit_on_disk, &world->audit, &world->detail), ERR_NONE);
	log_notice("audit", "one");
	assert_int_equal(num_good(world), 2);
}

/* The last line was changed and no longer ends as a line: no crash does that, so nothing goes on after the one before.
 */
static void C19_a_last_line_that_was_changed_is_refused(void **state)
{
	struct world *world = *state;
	static const char *const ends[] = {" \n", "}\n", "x", "\n\n"};
	log_notice("audit", "one");
	log_notice("audit", "two");
	off_t size = size_of(world);
	audit_close(TAKE_PTR(world->audit));
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		assert_int_equal(truncate(world->path, size - 1), 0);
		write_end(world, ends[i]);
		assert_int_equal(
			audit_open(world->folder, &audit_on_disk, &world->audit, &world->detail), ERR_STATE_DAMAGED);
	}
	assert_int_equal(truncate(world->path, size), 0);
	assert_int_equal(audit_open(world->folder, &audit_on_disk, &world->audit, &world->detail), ERR_NONE);
}

/* A crash, or a full disk, between the last digit and the newline. */
static void C19_a_line_without_its_newline_is_whole(void **state)
{
	struct world *world = *state;
	log_notice("audit", "one");
	log_notice("audit", "two");
	audit_close(TAKE_PTR(world->audit));
	assert_int_equal(truncate(world->path, size_of(world) - 1), 0);
	assert_int_equal(audit_open(world->folder, &audit_on_disk, &world->audit, &world->detail), ERR_NONE);
	log_notice("audit", "three");
	assert_int_equal(num_good(world), 3);
}

/* As a disk that is full, and then has space: no line is joined to a cut one, and what was lost is counted. */
static void C19_what_a_full_disk_lost_is_counted(void **state)
{
	struct world *world = *state;
	struct rlimit before, small;
	struct stat found;
	log_notice("audit", "one");
	assert_int_equal(signal(SIGXFSZ, SIG_IGN) == SIG_ERR, 0);
	assert_int_equal(stat(world->path, &found), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){(rlim_t)found.st_size + 30, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	log_notice("audit", "cut");
	log_notice("audit", "not even begun");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	log_notice("audit", "after");
	assert_int_equal(num_good(world), 4);
	_cleanup_(buf_done) struct buf text = BUF_INIT(65536);
	read_file(world->path, &text);
	assert_non_null(strstr(buf_cstr(&text), "\"event\":\"cut lines: "));
	assert_non_null(strstr(buf_cstr(&text), "\"events lost: 2, while"));
	reopen(world);
	log_notice("audit", "again");
	assert_int_equal(num_good(world), 5);
}

/* Each attempt leaves a part of a line, of more lines than one can state. */
static void C19_a_disk_that_is_full_again_and_again_ends_no_log(void **state)
{
	struct world *world = *state;
	struct rlimit before, small;
	struct stat found;
	log_notice("audit", "one");
	assert_int_equal(signal(SIGXFSZ, SIG_IGN) == SIG_ERR, 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	for (unsigned i = 0; i < 2 * AUDIT_CUT_MAX / 100; i++) {
		assert_int_equal(stat(world->path, &found), 0);
		small = (struct rlimit){(rlim_t)found.st_size + 100, before.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		log_notice("audit", "cut");
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	}
	log_notice("audit", "after");
	assert_int_equal(num_good(world), 4);
	reopen(world);
	log_notice("audit", "again");
	assert_int_equal(num_good(world), 5);
}

static void C19_an_empty_file_continues_the_older_ones(void **state)
{
	struct world *world = *state;
	_cleanup_(mem_freep) char *older = mem_printf("%s.2", world->path);
	_cleanup_(mem_freep) char *oldest = mem_printf("%s.9", world->path); /* by another program's numbers */
	struct audit_chain chain = {0};
	_cleanup_(buf_done) struct buf text = BUF_INIT(65536);
	log_notice("audit", "one");
	audit_close(TAKE_PTR(world->audit));
	assert_int_equal(rename(world->path, oldest), 0);
	assert_int_equal(audit_open(world->folder, &audit_on_disk, &world->audit, &world->detail), ERR_NONE);
	log_notice("audit", "two");
	audit_close(TAKE_PTR(world->audit));
	assert_int_equal(rename(world->path, older), 0);
	assert_int_equal(audit_open(world->folder, &audit_on_disk, &world->audit, &world->detail), ERR_NONE);
	log_notice("audit", "three");
	read_file(world->path, &text);
	assert_int_equal(
		audit_chain_check(&chain, span_of(buf_span(&text).ptr, buf_len(&text) - 1), true, NULL), ERR_NONE);
	assert_int_equal(chain.number, 3);
}

/* By a program that rotates logs, or an intruder: the chain goes on in a file of the right name. */
static unsigned num_files(const struct world *world)
{
	unsigned num = 0;
	DIR *folder = opendir(world->folder);
	assert_non_null(folder);
	for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
		num += entry->d_name[0] != '.';
	closedir(folder);
	return num;
}

/* A pod's state folder is memory that the keys need as well. */
static void of_full_files_all_are_kept_or_one(void **state)
{
	struct world *world = *state;
	for (int keeps_all = 0; keeps_all < 2; keeps_all++) {
		const struct audit_room room = {400, keeps_all != 0};
		unsigned before = num_files(world);
		audit_close(TAKE_PTR(world->audit));
		assert_int_equal(audit_open(world->folder, &room, &world->audit, &world->detail), ERR_NONE);
		for (int i = 0; i < 40; i++)
			log_notice("audit", "line %d", i);
		assert_true(keeps_all != 0 ? num_files(world) > before + 5 : num_files(world) == 2);
	}
	reopen(world);
	log_notice("audit", "the last");
	assert_int_equal(num_good(world), 81); /* the chain goes on over all of them */
}

static void C19_a_file_that_was_moved_away_is_begun_again(void **state)
{
	struct world *world = *state;
	_cleanup_(mem_freep) char *elsewhere = mem_printf("%s/elsewhere", world->folder);
	log_notice("audit", "one");
	assert_int_equal(rename(world->path, elsewhere), 0);
	log_notice("audit", "two");
	assert_int_equal(num_good(world), 2); /* the file begins with number 2 */
}

static void C19_a_second_writer_is_refused(void **state)
{
	struct world *world = *state;
	int status = 0;
	pid_t child = fork();
	if (child == 0) {
		struct audit *second;
		_exit(audit_open(world->folder, &audit_on_disk, &second, NULL) == ERR_CONFLICT ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What a truncation takes is not in the file: the lines after it do not follow. */
static void C19_a_file_that_was_truncated_while_it_was_written_is_found(void **state)
{
	struct world *world = *state;
	struct stat found;
	log_notice("audit", "one");
	assert_int_equal(stat(world->path, &found), 0);
	log_notice("audit", "two");
	assert_int_equal(truncate(world->path, found.st_size), 0);
	log_notice("audit", "three");
	enum err err;
	assert_int_equal(verified(world, &err), 1);
	assert_int_equal(err, ERR_STATE_DAMAGED);
}

static void a_file_of_something_else_is_refused(void **state)
{
	struct world *world = *state;
	audit_close(TAKE_PTR(world->audit));
	write_end(world, "not an audit log\n");
	assert_int_equal(audit_open(world->folder, &audit_on_disk, &world->audit, &world->detail), ERR_STATE_DAMAGED);
	assert_non_null(strstr(world->detail.fix, "move it to a name such as"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(events_of_the_component_alone_are_kept_whatever_the_level),
		TEST(C19_a_restart_continues_the_chain),
		TEST(C19_a_line_that_a_crash_has_cut_ends_nothing),
		TEST(C19_a_crash_at_any_byte_is_gone_on_from),
		TEST(C19_a_crash_within_the_first_line_is_gone_on_from),
		TEST(C19_a_last_line_that_was_changed_is_refused),
		TEST(C19_a_line_without_its_newline_is_whole),
		TEST(C19_what_a_full_disk_lost_is_counted),
		TEST(C19_a_disk_that_is_full_again_and_again_ends_no_log),
		TEST(C19_an_empty_file_continues_the_older_ones),
		TEST(of_full_files_all_are_kept_or_one),
		TEST(C19_a_file_that_was_moved_away_is_begun_again),
		TEST(C19_a_second_writer_is_refused),
		TEST(C19_a_file_that_was_truncated_while_it_was_written_is_found),
		TEST(a_file_of_something_else_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
