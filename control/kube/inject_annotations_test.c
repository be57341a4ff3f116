/* Annotations: what they change, and which values are refused. */
#include "control/kube/test_inject.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct injected *annotated(const char *name, const char *value)
{
	char text[1024];
	snprintf(text, sizeof(text), "'handfast.dev/%s': '%s'", name, value);
	return test_inject(test_annotated(text), NULL, NULL);
}

static void exclusions_go_to_the_init_container(void **state)
{
	(void)state;
	static const char *const rows[][4] = {
		{"exclude-inbound-ports", "8081, 9100", "HANDFAST_INIT_EXCLUDE_INBOUND_PORTS", "8081,9100"},
		{"exclude-outbound-ports", "443", "HANDFAST_INIT_EXCLUDE_OUTBOUND_PORTS", "443"},
		{"exclude-outbound-networks", "192.0.2.0/24 ,2001:db8::/32", "HANDFAST_INIT_EXCLUDE_OUTBOUND_NETWORKS",
			"192.0.2.0/24,2001:db8::/32"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct injected *injected = annotated(rows[i][0], rows[i][1]);
		assert_string_equal(test_env(injected, "handfast-init", rows[i][2]), rows[i][3]);
		test_inject_free(injected);
	}
}

static void modes_and_levels_go_to_the_sidecar(void **state)
{
	(void)state;
	static const char *const rows[][3] = {
		{"interception", "tproxy", "HANDFAST_SIDECAR_INTERCEPTION"},
		{"inbound-mode", "strict", "HANDFAST_SIDECAR_INBOUND_MODE"},
		{"outbound-mode", "require", "HANDFAST_SIDECAR_OUTBOUND_MODE"},
		{"prefer-zone", "false", "HANDFAST_SIDECAR_OUTBOUND_PREFER_ZONE"},
		{"endpoint-connections", "100", "HANDFAST_SIDECAR_LIMITS_PER_ENDPOINT"},
		{"log-level", "debug", "HANDFAST_SIDECAR_LOG_LEVEL"},
		{"access-log", "1/100", "HANDFAST_SIDECAR_ACCESS_LOG"},
		{"drain-deadline", "2m", "HANDFAST_SIDECAR_DRAIN_DEADLINE"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct injected *injected = annotated(rows[i][0], rows[i][1]);
		assert_string_equal(test_env(injected, "handfast", rows[i][2]), rows[i][1]);
		test_inject_free(injected);
	}
}

static void resources_are_small_by_default_and_can_be_set(void **state)
{
	(void)state;
	struct injected *plain = annotated("inject", "enabled");
	json_t *expected = test_json("{'requests': {'cpu': '10m', 'memory': '32Mi'}}");
	assert_true(json_equal(test_at(plain, "/spec/initContainers/1/resources"), expected));
	json_decref(expected);
	test_inject_free(plain);
	struct injected *set =
		test_inject(test_annotated("'handfast.dev/cpu-request': '0.1', 'handfast.dev/cpu-limit': '2', "
					   "'handfast.dev/memory-request': '64Mi', 'handfast.dev/memory-limit': '1G'"),
			NULL, NULL);
	expected = test_json("{'requests': {'cpu': '0.1', 'memory': '64Mi'}, 'limits': {'cpu': '2', 'memory': '1G'}}");
	assert_true(json_equal(test_at(set, "/spec/initContainers/1/resources"), expected));
	assert_true(json_equal(test_at(set, "/spec/initContainers/0/resources"), expected)); /* a quota may need them */
	json_decref(expected);
	test_inject_free(set);
}

static void wrong_values_are_refused_with_the_annotation(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"inject", "no"},
		{"inject", ""},
		{"rewrite-probes", "false"},
		{"exclude-inbound-ports", ""},
		{"exclude-inbound-ports", "80,"},
		{"exclude-inbound-ports", "80 81"},
		{"exclude-inbound-ports", "0"},
		{"exclude-inbound-ports", "65536"},
		{"exclude-inbound-ports", "080"},
		{"exclude-inbound-ports", "-1"},
		{"exclude-inbound-ports", "15006"},
		{"exclude-outbound-ports", "http"},
		{"exclude-outbound-ports",
			"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,"
			"35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61"},
		{"exclude-outbound-networks", "192.0.2.1/24"},
		{"exclude-outbound-networks", "shop.test"},
		{"interception", "TPROXY"},
		{"interception", "none"},
		{"interception", ""},
		{"inbound-mode", "STRICT"},
		{"outbound-mode", "permissive"},
		{"prefer-zone", "disabled"},
		{"endpoint-connections", "0"},
		{"endpoint-connections", "10000001"},
		{"endpoint-connections", "many"},
		{"log-level", "info"},
		{"access-log", "1/0"},
		{"drain-deadline", "25"},
		{"drain-deadline", "25h"},
		{"drain-deadline", "1.5s"},
		{"drain-deadline", "s"},
		{"cpu-request", "0"},
		{"cpu-request", "100 m"},
		{"cpu-request", "1.2.3"},
		{"cpu-limit", "-1"},
		{"memory-request", "64MB"},
		{"memory-limit", "Mi"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct injected *injected = annotated(rows[i][0], rows[i][1]);
		if (injected->result.verdict != INJECT_REFUSE ||
			strstr(injected->result.detail.got, rows[i][0]) == NULL)
			fail_msg("%s: '%s' is not refused", rows[i][0], rows[i][1]);
		test_inject_free(injected);
	}
}

static void good_values_are_taken(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"exclude-inbound-ports", "1,65535"},
		{"exclude-outbound-networks", "198.51.100.7,::/0"},
		{"endpoint-connections", "10000000"},
		{"drain-deadline", "0s"},
		{"drain-deadline", "24h"},
		{"cpu-request", "250m"},
		{"cpu-limit", ".5"},
		{"memory-limit", "134217728"},
		{"memory-limit", "1.5Gi"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct injected *injected = annotated(rows[i][0], rows[i][1]);
		if (injected->result.verdict != INJECT_CHANGE)
			fail_msg("%s: '%s' is refused", rows[i][0], rows[i][1]);
		test_inject_free(injected);
	}
}

static void an_unknown_annotation_is_warned_of_with_the_nearest(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"exclude-outbound-port", "the nearest is handfast.dev/exclude-outbound-ports"},
		{"injection", "the nearest is handfast.dev/inject"},
		{"cpu-requests", "the nearest is handfast.dev/cpu-request"},
		{"loglevel", "the nearest is handfast.dev/log-level"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct injected *injected = annotated(rows[i][0], "x");
		assert_int_equal(injected->result.verdict, INJECT_CHANGE);
		assert_true(test_has_warning(injected, rows[i][1]));
		test_inject_free(injected);
	}
	struct injected *foreign = test_inject(test_annotated("'example.test/inject': 'x'"), NULL, NULL);
	assert_int_equal(json_array_size(foreign->result.warnings), 0);
	test_inject_free(foreign);
}

/* Takes thread time, which other programs do not change: a search per annotation would take 20 times as long. */
static void K22_ten_thousand_unknown_annotations_cost_little(void **state)
{
	(void)state;
	enum { NUM = 10000, MOST_MS = 400 };
	json_t *annotations = json_object();
	struct timespec from, to;
	for (int i = 0; i < NUM; i++) {
		char name[64];
		snprintf(name, sizeof(name), "handfast.dev/exclude-outbound-networks-%d", i);
		assert_int_equal(json_object_set_new(annotations, name, json_string("x")), 0);
	}
	json_t *pod = test_json(test_pod("", ""));
	assert_int_equal(json_object_set_new(json_object_get(pod, "metadata"), "annotations", annotations), 0);
	struct inject_result result;
	const struct inject_namespace ns = {.name = "shop"};
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	inject_pod(pod, &ns, &test_inject_options, &result);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	assert_int_equal(result.verdict, INJECT_CHANGE);
	assert_int_equal(json_array_size(result.warnings), INJECT_WARNINGS_MAX);
	assert_true((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000 < MOST_MS);
	inject_result_done(&result);
	json_decref(pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exclusions_go_to_the_init_container),
		cmocka_unit_test(modes_and_levels_go_to_the_sidecar),
		cmocka_unit_test(resources_are_small_by_default_and_can_be_set),
		cmocka_unit_test(wrong_values_are_refused_with_the_annotation),
		cmocka_unit_test(good_values_are_taken),
		cmocka_unit_test(an_unknown_annotation_is_warned_of_with_the_nearest),
		cmocka_unit_test(K22_ten_thousand_unknown_annotations_cost_little),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
