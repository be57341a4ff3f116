#include "intercept/cni/rules_run.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

/* Kubelet shows what handfast-init reports. The run itself is tested with the real program: see answering_test.c.
 */
static void the_first_failed_finding_is_the_reason(void **state)
{
	struct why why = {0};
	(void)state;
	rules_run_explain(
		SPAN_LITERAL("{\"ok\":false,\"findings\":[{\"point\":\"a\",\"state\":\"note\",\"text\":\"N\"},"
			     "{\"point\":\"b\",\"state\":\"failed\",\"text\":\"F\"}]}"),
		69, &why);
	assert_string_equal(why.got, "exit code 69 of handfast-init: F");
}

static void a_report_without_a_reason_is_noticed(void **state)
{
	static const char *const reports[] = {"", "{", "[]", "{\"findings\":[{}]}", "{\"findings\":[{\"state\":1}]}"};
	(void)state;
	for (size_t i = 0; i < sizeof reports / sizeof reports[0]; i++) {
		struct why why = {0};
		rules_run_explain(span_of_str(reports[i]), 1, &why);
		assert_string_equal(why.got, "exit code 1 of handfast-init: it gave no reason");
	}
}

struct seen {
	struct loop *loop;
	enum err err;
	struct why detail;
};

static void on_done(void *arg, enum err err, const struct why *why)
{
	struct seen *seen = arg;
	seen->err = err;
	seen->detail = *why;
	loop_stop(seen->loop);
}

static void a_descriptor_that_is_no_namespace_is_refused(void **state)
{
	_cleanup_(loop_freep) struct loop *loop = loop_new(&clock_system);
	const struct node_pod_rules rules = {0};
	struct seen seen = {.loop = loop};
	_cleanup_(starter_freep) struct starter *starter = NULL;
	struct rules_run *run;
	struct why why;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	(void)state;
	assert_int_equal(starter_new("/bin/true", &starter, &why), ERR_NONE);
	struct rules_run_options options = {.loop = loop, .starter = starter, .rules = &rules, .netns = null};
	assert_int_equal(rules_run_start(&options, on_done, &seen, &run, &why), ERR_NONE);
	close(null);
	loop_run(loop);
	assert_int_equal(seen.err, ERR_SYSTEM);
	assert_non_null(strstr(seen.detail.got, "cannot enter the pod's network namespace"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_failed_finding_is_the_reason),
		cmocka_unit_test(a_report_without_a_reason_is_noticed),
		cmocka_unit_test(a_descriptor_that_is_no_namespace_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
