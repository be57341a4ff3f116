/* The files that are kept for a restart: what is refused, who may write, and how often. */
#include "base/core/cleanup.h"
#include "sidecar/identity/kept.h"
#include "sidecar/identity/kept_file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above before it */
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
	char folder[32], file[64], other[64];
	struct state_folder *state;
	struct kept one;
};

static int setup(void **state)
{
	static struct place place;
	place = (struct place){.folder = "/tmp/hf-kept-XXXXXX"};
	assert_non_null(mkdtemp(place.folder));
	(void)snprintf(place.file, sizeof place.file, "%s/file", place.folder);
	assert_int_equal(state_folder_open(place.folder, &place.state, NULL), ERR_NONE);
	kept_init(&place.one, place.state, "file", 5000);
	*state = &place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;
	char key[64];
	(void)snprintf(key, sizeof key, "%s/attestation.key", place->folder);
	state_folder_free(place->state);
	unlink(key);
	unlink(place->file);
	rmdir(place->folder);
	return 0;
}

static bool is_there(const struct place *place)
{
	return access(place->file, F_OK) == 0;
}

static enum err read_kept(const struct place *place, struct buf *out, struct why *why)
{
	return state_folder_kept(place->state, "file", out, why);
}

static void every_changed_byte_is_refused(void **state)
{
	struct place *place = *state;
	char content[64], changed;
	assert_int_equal(state_folder_keep(place->state, "file", SPAN_LITERAL("content"), NULL), ERR_NONE);
	int fd = open(place->file, O_RDWR);
	ssize_t len = pread(fd, content, sizeof content, 0);
	assert_true(len > 32 && (size_t)len < sizeof content);
	for (ssize_t i = 0; i < len; i++) {
		_cleanup_(buf_done) struct buf out = BUF_INIT(64);
		struct why why = {0};
		changed = (char)(content[i] ^ 1);
		assert_int_equal(pwrite(fd, &changed, 1, i), 1);
		assert_int_equal(read_kept(place, &out, &why), ERR_STATE_DAMAGED);
		assert_int_equal(pwrite(fd, &content[i], 1, i), 1);
	}
	for (ssize_t i = 0; i < len; i++) {
		_cleanup_(buf_done) struct buf out = BUF_INIT(64);
		assert_int_equal(ftruncate(fd, len - 1 - i), 0);
		assert_int_equal(read_kept(place, &out, NULL), ERR_STATE_DAMAGED);
	}
	close(fd);
}

static void the_file_of_another_folder_is_refused(void **state)
{
	struct place *place = *state;
	_cleanup_(buf_done) struct buf out = BUF_INIT(64);
	assert_int_equal(
		kept_file_write(place->file, SPAN_LITERAL("another key"), SPAN_LITERAL("content"), NULL), ERR_NONE);
	assert_int_equal(read_kept(place, &out, NULL), ERR_STATE_DAMAGED);
}

/* A sidecar that drains while its successor has started. */
static void one_process_at_a_time_writes(void **state)
{
	struct place *place = *state;
	struct state_folder *second;
	struct why why = {0};
	assert_int_equal(state_folder_open(place->folder, &second, NULL), ERR_NONE);
	assert_int_equal(state_folder_keep(place->state, "file", SPAN_LITERAL("first"), NULL), ERR_NONE);
	assert_int_equal(state_folder_keep(second, "file", SPAN_LITERAL("second"), &why), ERR_CONFLICT);
	assert_int_equal(state_folder_drop(second, "file", &why), ERR_CONFLICT);
	state_folder_free(place->state);
	place->state = second;
	assert_int_equal(state_folder_keep(second, "file", SPAN_LITERAL("second"), NULL), ERR_NONE);
}

static void changes_are_written_together(void **state)
{
	struct kept *kept = &((struct place *)*state)->one;
	assert_false(kept_changed(kept, KEPT_IS_OLDER, 100));
	assert_true(kept_is_due(kept, 100));
	kept_write(kept, SPAN_LITERAL("one"), 100);
	assert_false(kept_is_due(kept, 9000));
	assert_false(kept_changed(kept, KEPT_IS_OLDER, 200));
	assert_false(kept_is_due(kept, 5099));
	assert_true(kept_is_due(kept, 5100));
	kept_write(kept, SPAN_LITERAL("one"), 5100); /* the same: not written */
	assert_int_equal(kept->written_ms, 100);
}

static void what_must_not_be_used_is_replaced_at_once_or_removed(void **state)
{
	struct place *place = *state;
	struct kept *kept = &place->one;
	assert_true(kept_changed(kept, KEPT_IS_WRONG, 100));
	kept_write(kept, SPAN_LITERAL("one"), 100);
	assert_true(is_there(place));
	assert_false(kept_changed(kept, KEPT_IS_WRONG, 600));
	assert_false(is_there(place));
	assert_false(kept_is_due(kept, 1099));
	assert_true(kept_is_due(kept, 1100));
	kept_write(kept, SPAN_LITERAL("one"), 1100); /* the same as before, but it was removed */
	assert_true(is_there(place));
	assert_true(kept_changed(kept, KEPT_IS_WRONG, 2100));
	kept_write(kept, SPAN_LITERAL(""), 2100);
	assert_false(is_there(place));
}

static void what_cannot_be_written_is_removed(void **state)
{
	struct place *place = *state;
	struct kept *kept = &place->one;
	char obstacle[80];
	kept_write(kept, SPAN_LITERAL("one"), 100);
	(void)snprintf(obstacle, sizeof obstacle, "%s.new", place->file);
	assert_int_equal(mkdir(obstacle, 0700), 0);
	kept_write(kept, SPAN_LITERAL("two"), 6000);
	assert_false(is_there(place));
	assert_true(kept_is_due(kept, 7000));
	rmdir(obstacle);
	kept_write(kept, SPAN_LITERAL("two"), 7000);
	assert_true(is_there(place) && kept->failure.err == ERR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_changed_byte_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(the_file_of_another_folder_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(one_process_at_a_time_writes, setup, teardown),
		cmocka_unit_test_setup_teardown(changes_are_written_together, setup, teardown),
		cmocka_unit_test_setup_teardown(what_must_not_be_used_is_replaced_at_once_or_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_written_is_removed, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
