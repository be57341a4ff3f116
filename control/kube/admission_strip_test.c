/* What is left of a review for the parser. */
#include "base/core/buf.h"
#include "control/kube/admission_strip.h"
#include "control/kube/test_inject.h"
#include <string.h>

static void expect(const char *text, const char *expected)
{
	struct buf in = BUF_INIT(4096), out = BUF_INIT(4096);
	assert_int_equal(buf_append_str(&in, text), ERR_NONE);
	for (size_t i = in.start; i < in.end; i++)
		in.ptr[i] = in.ptr[i] == '\'' ? '"' : in.ptr[i];
	assert_int_equal(admission_strip(buf_span(&in), &out), ERR_NONE);
	for (size_t i = out.start; i < out.end; i++)
		out.ptr[i] = out.ptr[i] == '"' ? '\'' : out.ptr[i];
	assert_string_equal(buf_cstr(&out), expected);
	buf_done(&in);
	buf_done(&out);
}

static void members_that_are_not_read_are_null(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"{'a':1,'env':[{'name':'x'},{}],'b':{}}", "{'a':1,'env':null,'b':{}}"},
		{"{'managedFields':[{'f:env':{}}]}", "{'managedFields':null}"},
		{"{'args':['}',']','\\'','\\\\'],'b':2}", "{'args':null,'b':2}"},
		{"{'status' : {'a':[[],{}]} , 'b':2}", "{'status' : null , 'b':2}"},
		{"{'status':'a','options':-1.5e3,'args':true}", "{'status':null,'options':null,'args':null}"},
		{"[{'env':1},{'env':{}}]", "[{'env':null},{'env':null}]"},
		{"{'env':[1],'b':{'env':[2]},'env':[3]}", "{'env':null,'b':{'env':null},'env':null}"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(rows[i][0], rows[i][1]);
}

static void all_else_stays(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"",
		"{}",
		"[1,2,'env']",
		"{'name':'env','value':'args'}",
		"{'environment':[1],'en\\'v':[1]}",
		"{'annotations':{'handfast.dev/injected':'true'},'env':[{'name':'x'}]}",
		"{'volumeMounts':[{'name':'handfast-token'}],'env':[{'name':'x'}]}",
		"{'annotations':{'handfast.dev/workload-api':'enabled'},'env':[{'name':'x'}]}",
		"{'\\u0065nv':[1]}",
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(rows[i], rows[i]);
}

/* Malformed JSON must not become a review by what is left out. */
static void what_does_not_end_is_not_made_to_end(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"{'env':[", "{'env':null"},
		{"{'env':['", "{'env':null"},
		{"{'env':['\\", "{'env':null"},
		{"{'env':", "{'env':null"},
		{"{'env'", "{'env'"},
		{"'", "'"},
		{"{'env':]}", "{'env':null]}"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(rows[i][0], rows[i][1]);
}

static void values_that_are_kept_are_bounded(void **state)
{
	(void)state;
	static char text[ADMISSION_VALUES_MAX * 2 + 64];
	struct buf out = BUF_INIT(sizeof(text));
	memset(text, ',', ADMISSION_VALUES_MAX);
	assert_int_equal(admission_strip(span_of_str(text), &out), ERR_NONE);
	buf_clear(&out);
	text[ADMISSION_VALUES_MAX] = ',';
	assert_int_equal(admission_strip(span_of_str(text), &out), ERR_LIMIT);
	buf_done(&out);
	out = BUF_INIT(7);
	assert_int_equal(admission_strip(span_of_str("12345678"), &out), ERR_LIMIT);
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_that_are_not_read_are_null),
		cmocka_unit_test(all_else_stays),
		cmocka_unit_test(what_does_not_end_is_not_made_to_end),
		cmocka_unit_test(values_that_are_kept_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
