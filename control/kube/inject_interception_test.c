/* Redirection and the mode tproxy: who chooses, and what the sidecar's container has for it. */
#include "control/kube/test_inject.h"
#include <stdio.h>
#include <string.h>

#define TPROXY   "'handfast.dev/interception': 'tproxy'"
#define REDIRECT "'handfast.dev/interception': 'redirect'"

/* Whether the pod's sidecar is of the mode tproxy; its rules are of the same mode. */
static bool is_tproxy(const struct injected *injected)
{
	const char *mode = test_env(injected, "handfast", "HANDFAST_SIDECAR_INTERCEPTION");
	const char *rules = test_env(injected, "handfast-init", "HANDFAST_INIT_MODE");
	assert_int_equal(injected->result.verdict, INJECT_CHANGE);
	assert_true((mode == NULL) == (rules == NULL));
	if (mode == NULL)
		return false;
	assert_string_equal(mode, "tproxy");
	assert_string_equal(rules, "tproxy");
	return true;
}

static void the_pod_decides_before_the_namespace_and_that_before_the_mesh(void **state)
{
	(void)state;
	static const struct {
		const char *pod, *namespace_;
		bool mesh, expected;
	} rows[] = {
		{"", NULL, false, false},
		{"", NULL, true, true},
		{"", "tproxy", false, true},
		{"", "redirect", true, false},
		{TPROXY, "redirect", false, true},
		{REDIRECT, "tproxy", true, false},
		{REDIRECT, "no such mode", true, false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct inject_options options = test_inject_options;
		const struct inject_namespace ns = {.name = "shop", .interception = rows[i].namespace_};
		options.keeps_source = rows[i].mesh;
		struct injected *injected = test_inject(test_annotated(rows[i].pod), &ns, &options);
		if (is_tproxy(injected) != rows[i].expected)
			fail_msg("row %zu", i);
		test_inject_free(injected);
	}
}

static void the_container_has_the_right_to_one_capability(void **state)
{
	(void)state;
	json_t *expected = test_json(
		"{'runAsUser': 1337, 'runAsGroup': 1337, 'runAsNonRoot': true, 'allowPrivilegeEscalation': "
		"false, 'readOnlyRootFilesystem': true, 'capabilities': {'drop': ['ALL'], 'add': ['NET_RAW']}, "
		"'seccompProfile': {'type': 'RuntimeDefault'}}");
	struct injected *injected = test_inject(test_annotated(TPROXY), NULL, NULL);
	assert_true(json_equal(test_at(injected, "/spec/initContainers/1/securityContext"), expected));
	struct injected *again = test_inject_again(injected);
	assert_int_equal(again->result.verdict, INJECT_LEAVE);
	assert_int_equal(json_array_size(again->result.warnings), 0);
	json_decref(expected);
	test_inject_free(again);
	test_inject_free(injected);
}

static void a_wrong_mode_of_the_namespace_is_refused_with_its_name(void **state)
{
	(void)state;
	static const char *const values[] = {"TPROXY", "tproxy ", "none", "tproxytproxytpr"};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		const struct inject_namespace ns = {.name = "shop", .interception = values[i]};
		struct injected *injected = test_inject(test_pod("", ""), &ns, NULL);
		assert_int_equal(injected->result.verdict, INJECT_REFUSE);
		assert_non_null(strstr(injected->result.detail.got, "interception of the namespace shop is"));
		assert_string_equal(injected->result.detail.expected, "redirect or tproxy");
		test_inject_free(injected);
		struct injected *left = test_inject(test_annotated("'handfast.dev/inject': 'disabled'"), &ns, NULL);
		assert_int_equal(left->result.verdict, INJECT_LEAVE);
		test_inject_free(left);
	}
}

/* The CNI plugin writes the rules, but NET_RAW is the sidecar's. */
static void K42_a_namespace_that_refuses_the_capability_is_named_also_with_the_cni_plugin(void **state)
{
	(void)state;
	static const char *const levels[] = {"baseline", "restricted"};
	struct inject_options options = test_inject_options;
	options.has_cni = true;
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		const struct inject_namespace ns = {.name = "hard", .pod_security = levels[i]};
		struct injected *injected = test_inject(test_annotated(TPROXY), &ns, &options);
		assert_int_equal(injected->result.verdict, INJECT_REFUSE);
		assert_non_null(strstr(injected->result.detail.got, "the sidecar of the mode tproxy"));
		assert_non_null(strstr(injected->result.detail.fix, "handfast.dev/interception: redirect"));
		assert_null(strstr(injected->result.detail.fix, "..."));
		assert_null(strstr(injected->result.detail.got, "..."));
		test_inject_free(injected);
		struct injected *plain = test_inject(test_annotated(REDIRECT), &ns, &options);
		assert_int_equal(plain->result.verdict, INJECT_CHANGE);
		test_inject_free(plain);
	}
}

/* Rules and sidecar must fit each other; an annotation that was changed since changes neither. */
static void a_sidecar_that_is_there_keeps_its_mode_and_gets_rules_of_that_mode(void **state)
{
	(void)state;
	static const char *const modes[][2] = {{"tproxy", "redirect"}, {"redirect", "tproxy"}};
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		char annotation[64];
		snprintf(annotation, sizeof(annotation), "'handfast.dev/interception': '%s'", modes[i][0]);
		struct injected *first = test_inject(test_annotated(annotation), NULL, NULL);
		bool before = is_tproxy(first);
		json_object_set_new(
			test_at(first, "/metadata/annotations"), "handfast.dev/interception", json_string(modes[i][1]));
		json_array_remove(test_at(first, "/spec/initContainers"), 0); /* the rules, by another webhook */
		struct injected *second = test_inject_again(first);
		assert_true(is_tproxy(second) == before);
		assert_true(test_has_warning(second, "interception has no effect"));
		test_inject_free(second);
		test_inject_free(first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_pod_decides_before_the_namespace_and_that_before_the_mesh),
		cmocka_unit_test(the_container_has_the_right_to_one_capability),
		cmocka_unit_test(a_wrong_mode_of_the_namespace_is_refused_with_its_name),
		cmocka_unit_test(K42_a_namespace_that_refuses_the_capability_is_named_also_with_the_cni_plugin),
		cmocka_unit_test(a_sidecar_that_is_there_keeps_its_mode_and_gets_rules_of_that_mode),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
