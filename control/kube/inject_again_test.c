/* Annotations that a pod gets after its sidecar: each has its effect, or a warning. */
#include "control/kube/test_inject.h"
#include <stdio.h>
#include <string.h>

/* The annotations of the table, in its order, each with a value that differs from what a pod has without it. */
static const struct {
	const char *name, *value;
} samples[] = {{"inject", "enabled"}, {"rewrite-probes", "disabled"}, {"workload-api", "enabled"},
	{"agent-socket", "a.sock"}, {"istio-ca", "istiod.test:15012"}, {"exclude-inbound-ports", "8081, 9100"},
	{"exclude-outbound-ports", "5432"}, {"exclude-outbound-networks", "192.0.2.0/24"}, {"interception", "tproxy"},
	{"inbound-mode", "strict"}, {"outbound-mode", "require"}, {"prefer-zone", "false"},
	{"endpoint-connections", "7"}, {"log-level", "debug"}, {"access-log", "all"}, {"drain-deadline", "9s"},
	{"cpu-request", "20m"}, {"cpu-limit", "30m"}, {"memory-request", "40Mi"}, {"memory-limit", "50Mi"}};

static const char *const names[] = {
#define ANNOTATION(name, member, kind, again, target) name,
#include "control/kube/annotations.def"
#undef ANNOTATION
};

static json_t *pod_with(const char *name, const char *value)
{
	json_t *pod = test_json(test_pod("'livenessProbe': {'httpGet': {'port': 80}}", ""));
	if (name != NULL)
		assert_int_equal(json_object_set_new(json_object_get(pod, "metadata"), "annotations",
					 json_pack("{s:s}", name, value)),
			0);
	return pod;
}

/* As a manifest that was injected before, and has got the annotation since. */
static struct injected *injected_later(const struct injected *first, const char *name, const char *value)
{
	json_t *pod = json_deep_copy(first->after);
	json_t *annotations = json_object_get(json_object_get(pod, "metadata"), "annotations");
	assert_int_equal(json_object_set_new(annotations, name, json_string(value)), 0);
	return test_inject_json(pod, NULL, NULL);
}

/* Whether each variable of that container, and its resources, are as in the other pod. */
static bool has_all_of(const struct injected *injected, const struct injected *model, const char *container)
{
	const json_t *own = test_named(injected, "/spec/initContainers", container), *variable;
	const json_t *other = test_named(model, "/spec/initContainers", container);
	size_t i;
	if (!json_equal(json_object_get(own, "resources"), json_object_get(other, "resources")))
		return false;
	json_array_foreach(json_object_get(other, "env"), i, variable)
	{
		const char *name = json_string_value(json_object_get(variable, "name"));
		const char *value = test_env(injected, container, name);
		if (value == NULL || strcmp(value, json_string_value(json_object_get(variable, "value"))) != 0)
			return false;
	}
	return true;
}

static void each_annotation_has_its_effect_or_a_warning(void **state)
{
	(void)state;
	assert_int_equal(sizeof(samples) / sizeof(samples[0]), sizeof(names) / sizeof(names[0]));
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		char name[64], warning[128];
		assert_string_equal(samples[i].name, names[i]);
		snprintf(name, sizeof(name), "handfast.dev/%s", names[i]);
		snprintf(warning, sizeof(warning), "annotation %s has no effect: the pod has its sidecar", name);
		struct injected *first = test_inject_json(pod_with(NULL, NULL), NULL, NULL);
		struct injected *model = test_inject_json(pod_with(name, samples[i].value), NULL, NULL);
		struct injected *later = injected_later(first, name, samples[i].value);
		bool is_same = has_all_of(later, model, "handfast") && has_all_of(later, model, "handfast-init");
		is_same = is_same && strcmp(names[i], "rewrite-probes") != 0; /* the model has fewer variables */
		if (is_same == test_has_warning(later, warning))
			fail_msg("%s: %s", name, is_same ? "has its effect and a warning" : "has neither");
		struct injected *again = test_inject_again(later);
		assert_int_equal(json_array_size(again->result.patch), 0);
		test_inject_free(again);
		test_inject_free(later);
		test_inject_free(model);
		test_inject_free(first);
	}
}

static void another_value_replaces_the_first(void **state)
{
	(void)state;
	struct injected *first = test_inject_json(pod_with("handfast.dev/inbound-mode", "permissive"), NULL, NULL);
	struct injected *later = injected_later(first, "handfast.dev/inbound-mode", "strict");
	assert_string_equal(test_env(later, "handfast", "HANDFAST_SIDECAR_INBOUND_MODE"), "strict");
	assert_int_equal(json_array_size(later->result.patch), 1);
	test_inject_free(later);
	test_inject_free(first);
}

/* `kubectl debug --copy-to` leaves annotations out: what they had put into the sidecar stays. */
static void an_annotation_that_is_gone_changes_nothing(void **state)
{
	(void)state;
	struct injected *first = test_inject_json(pod_with("handfast.dev/inbound-mode", "strict"), NULL, NULL);
	json_object_del(
		json_object_get(json_object_get(first->after, "metadata"), "annotations"), "handfast.dev/inbound-mode");
	struct injected *again = test_inject_again(first);
	assert_int_equal(again->result.verdict, INJECT_LEAVE);
	test_inject_free(again);
	test_inject_free(first);
}

static void another_source_of_the_same_kind_has_a_warning(void **state)
{
	(void)state;
	static const char *const rows[][3] = {
		{"handfast.dev/agent-socket", "a.sock", "b.sock"}, {"handfast.dev/istio-ca", "a.test:1", "b.test:1"}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct injected *first = test_inject_json(pod_with(rows[i][0], rows[i][1]), NULL, NULL);
		struct injected *later = injected_later(first, rows[i][0], rows[i][2]);
		assert_true(test_has_warning(later, "made with another"));
		assert_int_equal(json_array_size(later->result.patch), 0);
		test_inject_free(later);
		test_inject_free(first);
	}
}

static void a_workload_api_that_is_there_stays_with_a_warning(void **state)
{
	(void)state;
	struct injected *first = test_inject_json(pod_with("handfast.dev/workload-api", "enabled"), NULL, NULL);
	struct injected *later = injected_later(first, "handfast.dev/workload-api", "disabled");
	assert_true(test_has_warning(later, "workload-api has no effect"));
	test_inject_free(later);
	test_inject_free(first);
}

/* Also where several come at once. */
static void a_sidecar_without_variables_gets_all(void **state)
{
	(void)state;
	struct injected *first = test_inject_json(pod_with(NULL, NULL), NULL, NULL);
	json_object_del(test_at(first, "/spec/initContainers/1"), "env");
	json_object_set_new(json_object_get(json_object_get(first->after, "metadata"), "annotations"),
		"handfast.dev/workload-api", json_string("enabled"));
	struct injected *later = injected_later(first, "handfast.dev/inbound-mode", "strict");
	assert_string_equal(test_env(later, "handfast", "HANDFAST_SIDECAR_INBOUND_MODE"), "strict");
	assert_non_null(test_env(later, "handfast", "HANDFAST_SIDECAR_WORKLOAD_API_SOCKET"));
	assert_non_null(test_env(later, "handfast", "HANDFAST_SIDECAR_WORKLOAD_API_UIDS"));
	test_inject_free(later);
	test_inject_free(first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_annotation_has_its_effect_or_a_warning),
		cmocka_unit_test(another_value_replaces_the_first),
		cmocka_unit_test(an_annotation_that_is_gone_changes_nothing),
		cmocka_unit_test(another_source_of_the_same_kind_has_a_warning),
		cmocka_unit_test(a_workload_api_that_is_there_stays_with_a_warning),
		cmocka_unit_test(a_sidecar_without_variables_gets_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
