#include "base/pb/unpack.h"
#include "control/serve/operator_messages.h"
#include "proto/handfast/v1/operator.pb-c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define WARNINGS 1000

/* The list as a client gets it. */
static const Handfast__V1__PolicyListResponse *encoded(size_t num_warnings, struct buf *out, struct pb_arena **arena)
{
	struct policy_list list = {0};
	struct why why = {0};
	ProtobufCMessage *message = NULL;
	(void)why_set(&why, ERR_CONFIG, "a rule that decides", "remove it", "it never decides");
	for (size_t i = 0; i < num_warnings; i++)
		policy_list_add_warning(&list, "workload x", "unreachable", &why);
	assert_int_equal(policy_list_encode(&list, out), ERR_NONE);
	policy_list_done(&list);
	assert_int_equal(
		pb_unpack(&handfast__v1__policy_list_response__descriptor, buf_span(out), arena, &message, NULL),
		ERR_NONE);
	return (const Handfast__V1__PolicyListResponse *)message;
}

static void all_warnings_are_in_the_list(void **state)
{
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(16u * 1024 * 1024);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	(void)state;
	assert_int_equal(encoded(WARNINGS, &bytes, &arena)->n_warnings, WARNINGS);
}

static void a_list_that_is_cut_has_the_number_of_those_left_out(void **state)
{
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(16u * 1024 * 1024);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	(void)state;
	const Handfast__V1__PolicyListResponse *list = encoded(WARNINGS + 7, &bytes, &arena);
	assert_int_equal(list->n_warnings, WARNINGS + 1);
	const Handfast__V1__PolicyWarning *last = list->warnings[WARNINGS];
	assert_true(span_eq(pb_span(last->detail), SPAN_LITERAL("7 more warnings are not shown")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_warnings_are_in_the_list),
		cmocka_unit_test(a_list_that_is_cut_has_the_number_of_those_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
