/* Against an API server of a few lines (test_records.h). test/kube asks the real one. */
#include "control/store/key_records.h"
#include "control/store/test_records.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the four above */
#include <cmocka.h>

static struct key_records records;
static struct key_hashes ours, theirs;

static int set_up(void **state)
{
	(void)state;
	test_records_start(loop_new(&clock_system));
	server.watch_is_late = true; /* no watch runs */
	records = (struct key_records){.loop = server.loop, .namespace_name = "handfast-system"};
	key_hashes_of(SPAN_LITERAL("our bootstrap root"), SPAN_LITERAL("our root"), &ours);
	key_hashes_of(SPAN_LITERAL("their bootstrap root"), SPAN_LITERAL("their root"), &theirs);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	loop_free(server.loop);
	test_records_end();
	return 0;
}

static void known_is(const struct key_hashes *hashes)
{
	_cleanup_(buf_done) struct buf value = BUF_INIT(256);
	assert_int_equal(key_hashes_encode(hashes, &value), ERR_NONE);
	test_records_write(KEY_RECORDS_KNOWN, buf_cstr(&value));
}

static void keys_that_were_made_here_are_taken_until_the_record_is_removed(void **state)
{
	(void)state;
	assert_int_equal(key_records_expect_none(&records, NULL), ERR_NONE);
	assert_int_equal(key_records_add(&records, &ours, NULL), ERR_NONE);
	assert_int_equal(key_records_add(&records, &ours, NULL), ERR_NONE);
	assert_int_equal(key_records_judge(&records, &ours, NULL), ERR_NONE);
	assert_int_equal(key_records_expect_none(&records, NULL), ERR_NONE); /* no mesh has served them */
	key_records_remove(&records, &ours);
	assert_int_equal(key_records_judge(&records, &ours, NULL), ERR_NOT_FOUND);
	key_records_remove(&records, &ours);
}

static void each_of_several_makers_has_a_record(void **state)
{
	(void)state;
	assert_int_equal(key_records_add(&records, &ours, NULL), ERR_NONE);
	assert_int_equal(key_records_add(&records, &theirs, NULL), ERR_NONE);
	key_records_remove(&records, &theirs);
	assert_int_equal(key_records_judge(&records, &ours, NULL), ERR_NONE);
}

static void the_keys_of_a_mesh_need_no_other_record(void **state)
{
	struct why why = {0};
	(void)state;
	known_is(&ours);
	assert_int_equal(key_records_judge(&records, &ours, NULL), ERR_NONE);
	assert_int_equal(key_records_expect_none(&records, &why), ERR_STATE_DAMAGED);
	assert_non_null(strstr(why.got, "its keys are missing"));
}

static void K18_keys_that_no_record_names_are_refused(void **state)
{
	struct why why = {0};
	(void)state;
	assert_int_equal(key_records_add(&records, &ours, NULL), ERR_NONE);
	assert_int_equal(key_records_judge(&records, &theirs, &why), ERR_NOT_FOUND);
	assert_non_null(strstr(why.got, "no record names the keys of the Secret, root SHA-256 "));
	assert_non_null(strstr(why.fix, "--adopt"));
	memcpy(theirs.root, ours.root, sizeof theirs.root); /* with another bootstrap root */
	assert_int_equal(key_records_judge(&records, &theirs, NULL), ERR_NOT_FOUND);
}

static void K18_other_keys_than_those_of_the_mesh_are_refused_also_where_they_were_made_here(void **state)
{
	(void)state;
	assert_int_equal(key_records_add(&records, &theirs, NULL), ERR_NONE);
	known_is(&ours);
	assert_int_equal(key_records_judge(&records, &theirs, NULL), ERR_STATE_DAMAGED);
}

static void K18_without_an_answer_no_keys_are_taken(void **state)
{
	struct why why = {0};
	(void)state;
	assert_int_equal(key_records_add(&records, &ours, NULL), ERR_NONE);
	server.fault = FAULT_LOST_REQUEST;
	server.num_faults = 1;
	assert_int_equal(key_records_judge(&records, &ours, &why), ERR_TIMEOUT);
	server.fault = FAULT_STATUS;
	server.fault_status = 403;
	server.num_faults = 1;
	assert_int_equal(key_records_judge(&records, &ours, &why), ERR_DENIED);
	server.num_faults = 1;
	assert_int_equal(key_records_expect_none(&records, &why), ERR_DENIED);
	server.num_faults = 1;
	assert_int_equal(key_records_add(&records, &theirs, &why), ERR_DENIED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keys_that_were_made_here_are_taken_until_the_record_is_removed),
		TEST(each_of_several_makers_has_a_record),
		TEST(the_keys_of_a_mesh_need_no_other_record),
		TEST(K18_keys_that_no_record_names_are_refused),
		TEST(K18_other_keys_than_those_of_the_mesh_are_refused_also_where_they_were_made_here),
		TEST(K18_without_an_answer_no_keys_are_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
