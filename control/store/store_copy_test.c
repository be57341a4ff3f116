#include "control/store/store_copy.h"

#include "base/core/buf.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "control/store/database.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above before it */
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct place {
	char folder[32], path[64], copy[64];
	struct database *database;
	uint64_t first[2]; /* versions */
	atomic_bool is_ending;
};

static int setup(void **state)
{
	static struct place place;
	place = (struct place){.folder = "/tmp/hf-copy-XXXXXX"};
	assert_non_null(mkdtemp(place.folder));
	(void)snprintf(place.path, sizeof place.path, "%s/control.db", place.folder);
	(void)snprintf(place.copy, sizeof place.copy, "%s/copy.db", place.folder);
	assert_int_equal(database_open(place.path, &place.database, NULL), ERR_NONE);
	*state = &place;
	return 0;
}

static int teardown(void **state)
{
	static const char *const files[] = {"control.db", "control.db-wal", "control.db.lock", "copy.db"};
	struct place *place = *state;
	if (place->database != NULL)
		database_close(place->database);
	for (size_t i = 0; i < 4; i++) {
		_cleanup_(mem_freep) char *path = mem_printf("%s/%s", place->folder, files[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(place->folder), 0); /* nothing else is left behind */
	return 0;
}

/* Both rows in one transaction. */
static void put_both(struct database *database, uint64_t versions[2], unsigned number)
{
	char text[2048];
	memset(text, 'x', sizeof text); /* so that the journal is moved into the database from time to time */
	(void)snprintf(text, 16, "%010u", number);
	struct database_change first = {.key = "a", .expected = versions[0], .value = span_of(text, sizeof text)},
			       second = {.key = "b", .expected = versions[1], .value = span_of(text, sizeof text)},
			       *changes[] = {&first, &second};
	assert_int_equal(database_commit(database, changes, 2, NULL), ERR_NONE);
	versions[0] = first.version;
	versions[1] = second.version;
}

struct rows {
	char text[2][16];
	unsigned num;
};

static void on_row(void *arg, _unused_ const char *key, struct span value, _unused_ uint64_t version)
{
	struct rows *rows = arg;
	assert_true(rows->num < 2 && value.len > 10);
	memcpy(rows->text[rows->num++], value.ptr, 10);
}

static unsigned read_copy(const struct place *place)
{
	struct rows rows = {.num = 0};
	struct database *copy;
	char lock[80];
	assert_int_equal(database_open(place->copy, &copy, NULL), ERR_NONE);
	assert_int_equal(database_read_all(copy, on_row, &rows, NULL), ERR_NONE);
	assert_int_equal(database_incarnation(copy), database_incarnation(place->database));
	database_close(copy);
	(void)snprintf(lock, sizeof lock, "%s.lock", place->copy);
	unlink(lock);
	assert_int_equal(rows.num, 2);
	assert_string_equal(rows.text[0], rows.text[1]);
	unsigned number = 0;
	for (const char *at = rows.text[0]; *at != 0; at++)
		number = number * 10 + (unsigned)(*at - 48);
	return number;
}

static void all_that_was_committed_is_in_the_copy(void **state)
{
	struct place *place = *state;
	uint64_t versions[2] = {0};
	for (unsigned i = 1; i <= 3; i++) {
		put_both(place->database, versions, i);
		assert_int_equal(store_copy(place->path, place->copy, NULL), ERR_NONE);
		assert_int_equal(read_copy(place), i);
		unlink(place->copy);
	}
}

static void a_store_that_is_closed_is_copied(void **state)
{
	struct place *place = *state;
	uint64_t versions[2] = {0};
	put_both(place->database, versions, 7);
	database_close(place->database);
	place->database = NULL;
	assert_int_equal(store_copy(place->path, place->copy, NULL), ERR_NONE);
	assert_int_equal(database_open(place->path, &place->database, NULL), ERR_NONE);
	assert_int_equal(read_copy(place), 7);
}

static void *write_on(void *arg)
{
	struct place *place = arg;
	uint64_t versions[2] = {place->first[0], place->first[1]};
	for (unsigned i = 2; !place->is_ending; i++)
		put_both(place->database, versions, i);
	return NULL;
}

/* Commits and checkpoints go on meanwhile: each copy is the state of one moment. */
static void a_copy_is_never_a_mixture(void **state)
{
	struct place *place = *state;
	pthread_t writer;
	unsigned before = 0, num_good = 0;
	put_both(place->database, place->first, 1);
	assert_int_equal(pthread_create(&writer, NULL, write_on, place), 0);
	while (num_good < 20) {
		enum err err = store_copy(place->path, place->copy, NULL);
		if (err == ERR_UNAVAILABLE)
			continue;
		assert_int_equal(err, ERR_NONE);
		unsigned number = read_copy(place);
		assert_true(number >= before);
		before = number;
		num_good++;
		unlink(place->copy);
	}
	place->is_ending = true;
	assert_int_equal(pthread_join(writer, NULL), 0);
}

static void what_is_no_store_is_refused_and_nothing_is_left(void **state)
{
	struct place *place = *state;
	struct why why = {0};
	char other[64];
	(void)snprintf(other, sizeof other, "%s/missing", place->folder);
	assert_int_equal(store_copy(other, place->copy, &why), ERR_NOT_FOUND);
	assert_int_equal(fd_write_file(other, SPAN_LITERAL(""), 0600, NULL), ERR_NONE);
	assert_int_equal(store_copy(other, place->copy, &why), ERR_STATE_DAMAGED);
	assert_int_equal(fd_write_file(other, SPAN_LITERAL("not a store at all"), 0600, NULL), ERR_NONE);
	assert_int_equal(store_copy(other, place->copy, &why), ERR_STATE_DAMAGED);
	unlink(other);
	assert_int_not_equal(access(place->copy, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_that_was_committed_is_in_the_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(a_store_that_is_closed_is_copied, setup, teardown),
		cmocka_unit_test_setup_teardown(a_copy_is_never_a_mixture, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_store_is_refused_and_nothing_is_left, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
