#include "control/store/etcd/etcd_wire.h"

#include "base/core/cleanup.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MARK "0123456789abcdef0123456789abcdef"

static void a_value_carries_its_writer(void **state)
{
	_cleanup_(buf_done) struct buf stored = BUF_INIT(256);
	struct span writer, value;
	(void)state;
	assert_int_equal(etcd_value_encode(MARK, SPAN_LITERAL("a=1\n"), &stored), ERR_NONE);
	assert_true(span_eq(buf_span(&stored), SPAN_LITERAL("writer=" MARK "\na=1\n")));
	assert_int_equal(etcd_value_parse(buf_span(&stored), &writer, &value), ERR_NONE);
	assert_true(span_eq(writer, SPAN_LITERAL(MARK)) && span_eq(value, SPAN_LITERAL("a=1\n")));
	assert_int_equal(etcd_value_parse(SPAN_LITERAL("writer=" MARK "\n"), &writer, &value), ERR_NONE);
	assert_int_equal(value.len, 0);
	assert_non_null(value.ptr);
}

static void a_value_of_another_form_is_refused(void **state)
{
	const struct span wrong[] = {SPAN_LITERAL(""), SPAN_LITERAL("a=1\n"), SPAN_LITERAL("writer=\n"),
		SPAN_LITERAL("writer=" MARK), SPAN_LITERAL("writer=" MARK "0\n"),
		SPAN_LITERAL("writer=0123456789ABCDEF0123456789abcdef\n"), SPAN_LITERAL("Writer=" MARK "\n")};
	struct span writer, value;
	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_int_equal(etcd_value_parse(wrong[i], &writer, &value), ERR_STATE_DAMAGED);
}

/* Field by field, since these bytes are what etcd takes. */
static void a_swap_is_a_transaction_with_one_comparison(void **state)
{
	static const uint8_t expected[] = {0x0a, 0x07, 0x10, 0x02, 0x1a, 0x01, 'k', 0x30,
		0x09,                                                     /* mod_revision(k) == 9 */
		0x12, 0x08, 0x12, 0x06, 0x0a, 0x01, 'k', 0x12, 0x01, 'v', /* put k v */
		0x1a, 0x05, 0x0a, 0x03, 0x0a, 0x01, 'k'};                 /* else range k */
	_cleanup_(buf_done) struct buf out = BUF_INIT(256);
	const struct etcd_swap swap = {.key = SPAN_LITERAL("k"), .expected = 9, .value = SPAN_LITERAL("v")};
	(void)state;
	assert_int_equal(etcd_swap_encode(&swap, &out), ERR_NONE);
	assert_true(span_eq(buf_span(&out), span_of(expected, sizeof expected)));
}

static void a_removal_is_a_delete(void **state)
{
	static const uint8_t expected[] = {0x0a, 0x07, 0x10, 0x02, 0x1a, 0x01, 'k', 0x30, 0x09, 0x12, 0x05, 0x1a, 0x03,
		0x0a, 0x01, 'k', 0x1a, 0x05, 0x0a, 0x03, 0x0a, 0x01, 'k'};
	_cleanup_(buf_done) struct buf out = BUF_INIT(256);
	const struct etcd_swap swap = {.key = SPAN_LITERAL("k"), .expected = 9};
	(void)state;
	assert_int_equal(etcd_swap_encode(&swap, &out), ERR_NONE);
	assert_true(span_eq(buf_span(&out), span_of(expected, sizeof expected)));
}

static void a_watch_asks_for_fragments_from_a_revision(void **state)
{
	static const uint8_t expected[] = {
		0x0a, 0x0c, 0x0a, 0x02, 'h', '/', 0x12, 0x02, 'h', '0', 0x18, 0x05, 0x40, 0x01};
	static const uint8_t progress[] = {0x1a, 0x00};
	_cleanup_(buf_done) struct buf out = BUF_INIT(256);
	_cleanup_(buf_done) struct buf more = BUF_INIT(256);
	uint8_t end[2];
	(void)state;
	etcd_prefix_end(SPAN_LITERAL("h/"), end);
	assert_int_equal(etcd_watch_encode(SPAN_LITERAL("h/"), span_of(end, sizeof end), 5, &out), ERR_NONE);
	assert_true(span_eq(buf_span(&out), span_of(expected, sizeof expected)));
	assert_int_equal(etcd_progress_encode(&more), ERR_NONE);
	assert_true(span_eq(buf_span(&more), span_of(progress, sizeof progress)));
}

static void on_record(void *arg, const struct etcd_record *record)
{
	struct etcd_record *out = arg;
	*out = *record;
	out->key.ptr = NULL; /* they end with the message */
	if (out->value.ptr != NULL)
		out->value.ptr = (const uint8_t *)"";
}

static void a_watchs_message_has_events_and_a_head(void **state)
{
	static const uint8_t put[] = {0x0a, 0x04, 0x08, 0x07, 0x18, 0x09,              /* cluster 7, revision 9 */
		0x5a, 0x0a, 0x12, 0x08, 0x0a, 0x01, 'k', 0x18, 0x09, 0x2a, 0x01, 'v'}; /* put k v at 9 */
	static const uint8_t removal[] = {
		0x0a, 0x04, 0x08, 0x07, 0x18, 0x0a, 0x5a, 0x09, 0x08, 0x01, 0x12, 0x05, 0x0a, 0x01, 'k', 0x18, 0x0a};
	static const uint8_t compacted[] = {0x0a, 0x04, 0x08, 0x07, 0x18, 0x0a, 0x20, 0x01, 0x28, 0x08};
	struct etcd_record record = {0};
	struct etcd_answer answer;
	struct why why = {0};
	(void)state;
	assert_int_equal(etcd_watch_parse(span_of(put, sizeof put), on_record, &record, &answer, &why), ERR_NONE);
	assert_true(answer.head.cluster == 7 && answer.head.revision == 9 && !answer.was_canceled);
	assert_true(record.version == 9 && record.key.len == 1 && record.value.len == 1 && record.value.ptr != NULL);
	assert_int_equal(
		etcd_watch_parse(span_of(removal, sizeof removal), on_record, &record, &answer, &why), ERR_NONE);
	assert_true(record.version == 10 && record.value.ptr == NULL);
	assert_int_equal(
		etcd_watch_parse(span_of(compacted, sizeof compacted), on_record, &record, &answer, &why), ERR_NONE);
	assert_true(answer.was_canceled && answer.compacted == 8);
}

static void an_answer_that_is_none_is_refused(void **state)
{
	static const uint8_t no_revision[] = {0x0a, 0x02, 0x08, 0x07};
	static const uint8_t no_key[] = {0x0a, 0x04, 0x08, 0x07, 0x18, 0x09, 0x12, 0x02, 0x18, 0x09};
	struct etcd_record record = {0};
	struct etcd_answer answer;
	struct why why = {0};
	(void)state;
	assert_int_equal(etcd_range_parse(SPAN_LITERAL(""), on_record, &record, &answer, &why), ERR_MALFORMED);
	assert_int_equal(etcd_range_parse(SPAN_LITERAL("\xff"), on_record, &record, &answer, &why), ERR_MALFORMED);
	assert_int_equal(etcd_swap_parse(span_of(no_revision, sizeof no_revision), on_record, &record, &answer, &why),
		ERR_MALFORMED);
	assert_int_equal(
		etcd_range_parse(span_of(no_key, sizeof no_key), on_record, &record, &answer, &why), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_carries_its_writer),
		cmocka_unit_test(a_value_of_another_form_is_refused),
		cmocka_unit_test(a_swap_is_a_transaction_with_one_comparison),
		cmocka_unit_test(a_removal_is_a_delete),
		cmocka_unit_test(a_watch_asks_for_fragments_from_a_revision),
		cmocka_unit_test(a_watchs_message_has_events_and_a_head),
		cmocka_unit_test(an_answer_that_is_none_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
