#include "cli/cluster/degraded.h"
#include "cli/cluster/test_objects.h"
#include <stdio.h>

static void add(struct degraded *degraded, const char *space, const char *pod, const char *text)
{
	json_t *page = test_object(text);
	degraded_add(degraded, space, pod, page);
	json_decref(page);
}

#define AWAY   "{'name': 'control plane unreachable', 'level': 'degraded', 'detail': 'timed out'}"
#define FAILED "{'name': 'no identity yet', 'level': 'failed'}"

static void what_is_wrong_with_a_ready_sidecar_is_a_row_per_namespace(void **state)
{
	struct degraded *degraded = degraded_new();
	struct findings findings;
	(void)state;
	findings_init(&findings);
	add(degraded, "shop", "cart-1", "{'conditions': [" AWAY "]}");
	add(degraded, "shop", "cart-2", "{'conditions': [" FAILED ", " AWAY "]}"); /* others report what has failed */
	add(degraded, "bank", "pay", "{'conditions': []}");
	add(degraded, "bank", "older", "{}");
	degraded_report(degraded, &findings);
	test_is_wrong(&findings, "sidecar-degraded",
		"control plane unreachable: 2 sidecars of namespace shop, such as cart-1 (timed out)");
	assert_int_equal(findings.num_wrong, 1);
	degraded_free(degraded);
	findings_done(&findings);
}

static void what_a_sidecar_answers_is_bounded(void **state)
{
	struct degraded *degraded = degraded_new();
	struct findings findings;
	char text[128];
	(void)state;
	findings_init(&findings);
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof text,
			"{'conditions': [{'name': '%d\\u001b', 'level': 'degraded', 'detail': 7}, 7]}", i);
		add(degraded, "shop", "cart", text);
	}
	degraded_report(degraded, &findings);
	assert_int_equal(findings.num_wrong, 16);
	test_is_wrong(&findings, "sidecar-degraded", "0\\x1b: 1 sidecar of namespace shop");
	degraded_free(degraded);
	findings_done(&findings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_with_a_ready_sidecar_is_a_row_per_namespace),
		cmocka_unit_test(what_a_sidecar_answers_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
