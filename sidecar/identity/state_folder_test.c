#include "base/core/cleanup.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "sidecar/identity/state_text.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above before it */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
	char folder[32], key[64], enrolled[64], state[64];
};

static void place_make(struct place *place)
{
	*place = (struct place){.folder = "/tmp/hf-state-XXXXXX"};
	assert_non_null(mkdtemp(place->folder));
	(void)snprintf(place->state, sizeof(place->state), "%s/s", place->folder);
	(void)snprintf(place->key, sizeof(place->key), "%s/s/attestation.key", place->folder);
	(void)snprintf(place->enrolled, sizeof(place->enrolled), "%s/s/enrolled", place->folder);
}

static void place_remove(struct place *place)
{
	unlink(place->key);
	unlink(place->enrolled);
	rmdir(place->state);
	rmdir(place->folder);
}

static struct enrolled_state example(void)
{
	struct enrolled_state state = {
		.num_pins = 2, .has_consumed_token = true, .epoch = {.incarnation = 0xfeedface, .counter = 7}};
	memset(state.pins[0], 1, DIGEST_LEN);
	memset(state.pins[1], 2, DIGEST_LEN);
	memset(state.consumed_token, 3, DIGEST_LEN);
	return state;
}

static void spki(struct state_folder *state, struct buf *out)
{
	assert_int_equal(private_key_public(state_folder_key(state), out), ERR_NONE);
}

static void stores_the_key_and_the_enrolled_state_across_restarts(_unused_ void **unused)
{
	struct place place;
	_cleanup_(buf_done) struct buf first = BUF_INIT(256), second = BUF_INIT(256);
	struct enrolled_state enrolled = example();
	place_make(&place);
	{
		_cleanup_(state_folder_freep) struct state_folder *state = NULL;
		assert_int_equal(state_folder_open(place.state, &state, NULL), ERR_NONE);
		assert_false(state_folder_get(state)->has_consumed_token);
		assert_int_equal(state_folder_put(state, &enrolled, NULL), ERR_NONE);
		spki(state, &first);
	}
	{
		_cleanup_(state_folder_freep) struct state_folder *state = NULL;
		assert_int_equal(state_folder_open(place.state, &state, NULL), ERR_NONE);
		spki(state, &second);
		assert_true(span_eq(buf_span(&first), buf_span(&second)));
		assert_memory_equal(state_folder_get(state), &enrolled, sizeof(enrolled));
	}
	struct stat stat_of;
	assert_int_equal(stat(place.key, &stat_of), 0);
	assert_int_equal(stat_of.st_mode & 0777, 0600);
	place_remove(&place);
}

static void reports_a_damaged_file_and_does_not_change_it(_unused_ void **unused)
{
	struct place place;
	struct state_folder *state = NULL;
	struct enrolled_state enrolled = example();
	place_make(&place);
	assert_int_equal(state_folder_open(place.state, &state, NULL), ERR_NONE);
	assert_int_equal(state_folder_put(state, &enrolled, NULL), ERR_NONE);
	state_folder_free(state);
	assert_int_equal(fd_write_file(place.enrolled, SPAN_LITERAL("handfast-state 1\n"), 0600, NULL), ERR_NONE);
	assert_int_equal(state_folder_open(place.state, &state, NULL), ERR_STATE_DAMAGED);
	_cleanup_(buf_done) struct buf after = BUF_INIT(64);
	assert_int_equal(fd_read_file(place.enrolled, 64, &after, NULL), ERR_NONE);
	assert_true(span_eq(buf_span(&after), SPAN_LITERAL("handfast-state 1\n")));
	unlink(place.enrolled);
	assert_int_equal(fd_write_file(place.key, SPAN_LITERAL("not a key"), 0600, NULL), ERR_NONE);
	assert_int_equal(state_folder_open(place.state, &state, NULL), ERR_STATE_DAMAGED);
	place_remove(&place);
}

static void a_missing_key_of_an_enrolled_sidecar_is_reported_as_damage(_unused_ void **unused)
{
	struct place place;
	struct state_folder *state = NULL;
	struct enrolled_state enrolled = example();
	place_make(&place);
	assert_int_equal(state_folder_open(place.state, &state, NULL), ERR_NONE);
	assert_int_equal(state_folder_put(state, &enrolled, NULL), ERR_NONE);
	state_folder_free(state);
	unlink(place.key);
	assert_int_equal(state_folder_open(place.state, &state, NULL), ERR_STATE_DAMAGED);
	assert_int_not_equal(access(place.key, F_OK), 0);
	place_remove(&place);
}

static void C16_refuses_a_folder_that_other_users_can_enter(_unused_ void **unused)
{
	struct place place;
	struct state_folder *state = NULL;
	place_make(&place);
	assert_int_equal(mkdir(place.state, 0755), 0);
	assert_int_equal(state_folder_open(place.state, &state, NULL), ERR_DENIED);
	assert_int_equal(rmdir(place.state), 0);
	assert_int_equal(symlink("/tmp", place.state), 0);
	assert_int_equal(state_folder_open(place.state, &state, NULL), ERR_DENIED);
	unlink(place.state);
	place_remove(&place);
}

static void detects_every_flipped_byte_and_every_truncation(_unused_ void **unused)
{
	struct enrolled_state enrolled = example(), read;
	_cleanup_(buf_done) struct buf text = BUF_INIT(STATE_TEXT_MAX);
	assert_int_equal(state_text_encode(&enrolled, &text), ERR_NONE);
	struct span whole = buf_span(&text);
	assert_int_equal(state_text_parse(whole, &read, NULL), ERR_NONE);
	for (size_t i = 0; i < whole.len; i++) {
		text.ptr[i] ^= 1;
		assert_int_equal(state_text_parse(whole, &read, NULL), ERR_STATE_DAMAGED);
		text.ptr[i] ^= 1;
		assert_int_equal(state_text_parse(span_of(whole.ptr, i), &read, NULL), ERR_STATE_DAMAGED);
	}
}

static void one_process_at_a_time_keeps_and_the_next_one_takes_over(_unused_ void **unused)
{
	struct place place;
	struct enrolled_state enrolled = example();
	_cleanup_(buf_done) struct buf content = BUF_INIT(256);
	place_make(&place);
	_cleanup_(state_folder_freep) struct state_folder *before = NULL, *next = NULL;
	assert_int_equal(state_folder_open(place.state, &before, NULL), ERR_NONE);
	assert_int_equal(state_folder_open(place.state, &next, NULL), ERR_NONE);
	state_folder_wait(next, true); /* also while the one before has not written yet */
	assert_int_equal(state_folder_keep(next, "kept", SPAN_LITERAL("next"), NULL), ERR_CONFLICT);
	assert_int_equal(state_folder_keep(before, "kept", SPAN_LITERAL("before"), NULL), ERR_NONE);
	state_folder_leave(before);
	state_folder_wait(next, false);
	assert_int_equal(state_folder_keep(next, "kept", SPAN_LITERAL("next"), NULL), ERR_NONE);
	assert_int_equal(state_folder_keep(before, "kept", SPAN_LITERAL("late"), NULL), ERR_NONE);
	assert_int_equal(state_folder_drop(before, "kept", NULL), ERR_NONE);
	assert_int_equal(state_folder_put(before, &enrolled, NULL), ERR_NONE);
	assert_true(state_folder_get(before)->has_consumed_token);
	assert_int_not_equal(access(place.enrolled, F_OK), 0);
	assert_int_equal(state_folder_kept(next, "kept", &content, NULL), ERR_NONE);
	assert_true(span_eq(buf_span(&content), SPAN_LITERAL("next")));
	assert_int_equal(state_folder_drop(next, "kept", NULL), ERR_NONE);
	place_remove(&place);
}

static void one_that_waits_lends_the_folder_and_has_it_again(_unused_ void **unused)
{
	struct place place;
	_cleanup_(buf_done) struct buf content = BUF_INIT(256);
	place_make(&place);
	_cleanup_(state_folder_freep) struct state_folder *before = NULL, *next = NULL;
	assert_int_equal(state_folder_open(place.state, &before, NULL), ERR_NONE);
	assert_int_equal(state_folder_open(place.state, &next, NULL), ERR_NONE);
	assert_int_equal(state_folder_keep(before, "kept", SPAN_LITERAL("before"), NULL), ERR_NONE);
	assert_int_equal(state_folder_keep(next, "kept", SPAN_LITERAL("next"), NULL), ERR_CONFLICT);
	state_folder_wait(before, true);
	assert_int_equal(state_folder_keep(before, "kept", SPAN_LITERAL("lent"), NULL), ERR_CONFLICT);
	assert_int_equal(state_folder_keep(next, "kept", SPAN_LITERAL("next"), NULL), ERR_NONE);
	state_folder_freep(&next); /* its process ends */
	next = NULL;
	state_folder_wait(before, false);
	assert_int_equal(state_folder_keep(before, "kept", SPAN_LITERAL("again"), NULL), ERR_NONE);
	assert_int_equal(state_folder_kept(before, "kept", &content, NULL), ERR_NONE);
	assert_true(span_eq(buf_span(&content), SPAN_LITERAL("again")));
	assert_int_equal(state_folder_drop(before, "kept", NULL), ERR_NONE);
	place_remove(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stores_the_key_and_the_enrolled_state_across_restarts),
		cmocka_unit_test(reports_a_damaged_file_and_does_not_change_it),
		cmocka_unit_test(a_missing_key_of_an_enrolled_sidecar_is_reported_as_damage),
		cmocka_unit_test(C16_refuses_a_folder_that_other_users_can_enter),
		cmocka_unit_test(detects_every_flipped_byte_and_every_truncation),
		cmocka_unit_test(one_that_waits_lends_the_folder_and_has_it_again),
		cmocka_unit_test(one_process_at_a_time_keeps_and_the_next_one_takes_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
