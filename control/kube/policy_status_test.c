#include "control/kube/policy_status.h"
#include "control/kube/test_policy_set.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static bool is_there(void *arg, const char *name)
{
	(void)arg;
	return strcmp(name, "b-2") == 0;
}

static const struct policy_replicas replicas = {"a-1", is_there, NULL};

static void assert_patch(const struct policy_entry *entry, const char *expected)
{
	json_t *patch = policy_status_patch(entry, &replicas), *wanted = test_json(expected);
	char *text = json_dumps(patch, JSON_ENCODE_ANY);
	if (!json_equal(json_object_get(patch, "status"), wanted))
		fail_msg("another patch: %s", text == NULL ? "none" : text);
	free(text);
	json_decref(patch);
	json_decref(wanted);
}

static void a_new_policy_gets_its_whole_status_and_one_that_is_true_gets_none(void **state)
{
	static const char status[] =
		"{'observedGeneration': 3, 'accepted': true, 'message': 'accepted', 'sidecars': 2,"
		"'sidecarsInForce': 1, 'replicas': {'a-1': {'sidecars': 2, 'sidecarsInForce': 1}}}";
	struct test_policy policy = {.spec = "{'mode': 'strict'}", .generation = 3};
	struct policy_entry *entry = test_policy_set_put(*state, &policy);
	entry->counts = (struct policy_counts){2, 1};
	assert_patch(entry, status);
	policy.status = status;
	assert_null(policy_status_patch(test_policy_set_put(*state, &policy), &replicas));
}

static void what_replicas_count_is_added_and_what_one_that_is_gone_counted_is_removed(void **state)
{
	struct policy_entry *entry = test_policy_set_put(*state,
		&(struct test_policy){.spec = "{'mode': 'strict'}",
			.status = "{'observedGeneration': 1, 'accepted': true, 'message': 'accepted', 'sidecars': 12,"
				  "'sidecarsInForce': 12, 'conflicts': ['x'], 'replicas': {'b-2': {'sidecars': 5,"
				  "'sidecarsInForce': 4}, 'c-3': {'sidecars': 7, 'sidecarsInForce': 7},"
				  "'a-1': {'sidecars': 1}}}"});
	assert_patch(entry, "{'conflicts': null, 'sidecars': 5, 'sidecarsInForce': 4,"
			    "'replicas': {'c-3': null, 'a-1': null}}");
	entry->counts = (struct policy_counts){2, 2};
	assert_patch(entry, "{'conflicts': null, 'sidecars': 7, 'sidecarsInForce': 6, 'replicas': {'c-3': null,"
			    "'a-1': {'sidecars': 2, 'sidecarsInForce': 2}}}");
}

static void a_policy_that_is_not_accepted_has_the_reason(void **state)
{
	struct policy_entry *entry = test_policy_set_put(*state, &(struct test_policy){.spec = "{'mode': 'hard'}"});
	json_t *patch = policy_status_patch(entry, &replicas);
	const json_t *status = json_object_get(patch, "status");
	assert_true(json_is_false(json_object_get(status, "accepted")));
	const char *message = json_string_value(json_object_get(status, "message"));
	assert_non_null(strstr(message, "'hard'; expected: the mode off, permissive or strict; fix: "));
	json_decref(patch);
}

static const char *conflict(const struct policy_entry *entry, size_t i)
{
	static char text[512];
	json_t *patch = policy_status_patch(entry, &replicas);
	const json_t *list = json_object_get(json_object_get(patch, "status"), "conflicts");
	const char *found = json_string_value(json_array_get(list, i));
	(void)snprintf(text, sizeof(text), "%s", found == NULL ? "" : found);
	json_decref(patch);
	return text;
}

static void two_modes_for_one_account_or_port_are_a_conflict_at_both(void **state)
{
	struct policy_entry *old =
		test_policy_set_put(*state, &(struct test_policy){.name = "old",
						    .day = 1,
						    .spec = "{'serviceAccounts': ['a', 'b'], 'mode': 'strict', "
							    "'ports': [{'port': 80, 'mode': 'off'}]}"});
	struct policy_entry *new =
		test_policy_set_put(*state, &(struct test_policy){.name = "new",
						    .day = 2,
						    .spec = "{'serviceAccounts': ['b', 'c'], 'mode': 'permissive', "
							    "'ports': [{'port': 80, 'mode': 'strict'},"
							    "{'port': 81, 'mode': 'off'}]}"});
	assert_string_equal(
		conflict(new, 0), "policy old has the mode strict, this one permissive; the older one applies, old");
	assert_string_equal(conflict(new, 1),
		"policy old has the mode off for port 80, this one strict; the older one applies, old");
	assert_string_equal(conflict(new, 2), "");
	assert_string_equal(
		conflict(old, 0), "policy new has the mode permissive, this one strict; the older one applies, this");
}

static void modes_that_agree_or_have_no_account_in_common_are_none(void **state)
{
	struct policy_entry *a = test_policy_set_put(
		*state, &(struct test_policy){.name = "a", .spec = "{'serviceAccounts': ['a'], 'mode': 'strict'}"});
	struct policy_entry *b = test_policy_set_put(
		*state, &(struct test_policy){.name = "b", .spec = "{'serviceAccounts': ['b'], 'mode': 'off'}"});
	struct policy_entry *all =
		test_policy_set_put(*state, &(struct test_policy){.name = "c", .spec = "{'mode': 'permissive'}"});
	struct policy_entry *same = test_policy_set_put(
		*state, &(struct test_policy){.name = "d", .spec = "{'serviceAccounts': ['a'], 'mode': 'strict'}"});
	assert_string_equal(conflict(a, 0), "");
	assert_string_equal(conflict(b, 0), "");
	assert_string_equal(conflict(all, 0), ""); /* what names accounts goes before it */
	assert_string_equal(conflict(same, 0), "");
}

static void K16_strange_entries_of_a_status_are_removed_at_once(void **state)
{
	struct policy_entry *entry = test_policy_set_put(
		*state, &(struct test_policy){.name = "p", .spec = "{'mode': 'strict'}", .generation = 3});
	json_t *many = json_object();
	char name[32];
	for (unsigned i = 0; i < 65; i++) {
		(void)snprintf(name, sizeof(name), "pod-%u", i);
		json_object_set_new(many, name, json_object());
	}
	json_decref(entry->status);
	entry->status = json_pack("{s:o}", "replicas", many);
	json_t *patch = policy_status_patch(entry, &replicas);
	assert_true(json_is_null(json_object_get(json_object_get(patch, "status"), "replicas")));
	json_decref(patch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POLICY_SET_TEST(K16_strange_entries_of_a_status_are_removed_at_once),
		POLICY_SET_TEST(a_new_policy_gets_its_whole_status_and_one_that_is_true_gets_none),
		POLICY_SET_TEST(what_replicas_count_is_added_and_what_one_that_is_gone_counted_is_removed),
		POLICY_SET_TEST(a_policy_that_is_not_accepted_has_the_reason),
		POLICY_SET_TEST(two_modes_for_one_account_or_port_are_a_conflict_at_both),
		POLICY_SET_TEST(modes_that_agree_or_have_no_account_in_common_are_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
