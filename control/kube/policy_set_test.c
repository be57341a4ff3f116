#include "base/core/mem.h"
#include "control/kube/policy_set.h"
#include "control/kube/test_policy_set.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static enum err put(struct policy_set *set, const struct test_policy *policy)
{
	struct why why = {0};
	json_t *object = test_policy_new(policy);
	enum err err = policy_set_put(set, object, &why);
	assert_int_equal(err, why.err);
	json_decref(object);
	return err;
}

static void gone(struct policy_set *set, const struct test_policy *policy)
{
	json_t *object = test_policy_new(policy);
	policy_set_deleted(set, object);
	json_decref(object);
}

static void id_of(const char *text, struct spiffe_id *out)
{
	assert_int_equal(spiffe_id_parse(span_of_str(text), out, NULL), ERR_NONE);
}

/* The names of the rules that apply, in order: "b/r a/r ". */
static const char *applies(struct policy_set *set, const char *id_text)
{
	static char text[1024];
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	struct policy_found found;
	id_of(id_text, &id);
	policy_set_find(set, &id, &found);
	text[0] = '\0';
	for (size_t i = 0; i < found.num; i++)
		for (size_t j = 0; j < found.list[i]->num_rules; j++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", found.list[i]->rules[j].name);
	return text;
}

static bool concerns(struct policy_set *set, const char *id_text)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	id_of(id_text, &id);
	return policy_set_concerns(set, &id);
}

#define CART    "spiffe://cluster.local/ns/shop/sa/cart"
#define FRONT   "spiffe://cluster.local/ns/shop/sa/front"
#define OPS     "spiffe://cluster.local/ns/ops/sa/cart"
#define RULE    "'rules': [{'name': 'r', 'action': 'deny'}]"
#define ALL     "{" RULE "}"
#define OF_CART "{'serviceAccounts': ['cart'], " RULE "}"

static void K12_a_policy_applies_to_its_own_namespace_alone(void **state)
{
	struct policy_set *set = *state;
	assert_int_equal(put(set, &(struct test_policy){.spec = ALL}), ERR_NONE);
	assert_string_equal(applies(set, CART), "cart/r ");
	static const char *const others[] = {OPS, "spiffe://other.test/ns/shop/sa/cart",
		"spiffe://cluster.local/ns/shop", "spiffe://cluster.local/ns/shop/sa/cart/x",
		"spiffe://cluster.local/ns/shop/x/cart", "spiffe://cluster.local/web", "spiffe://cluster.local",
		"spiffe://cluster.local/ns/shopping/sa/cart", "spiffe://cluster.local/ns/sho/sa/cart"};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_string_equal(applies(set, others[i]), "");
		assert_false(concerns(set, others[i]));
	}
}

static void what_names_accounts_goes_first_then_the_older_one(void **state)
{
	struct policy_set *set = *state;
	assert_int_equal(put(set, &(struct test_policy){.name = "a", .day = 3, .spec = ALL}), ERR_NONE);
	assert_int_equal(put(set, &(struct test_policy){.name = "b", .day = 2, .spec = ALL}), ERR_NONE);
	assert_int_equal(put(set, &(struct test_policy){.name = "c", .day = 9, .spec = OF_CART}), ERR_NONE);
	assert_int_equal(put(set, &(struct test_policy){.name = "d", .day = 8, .spec = OF_CART}), ERR_NONE);
	assert_int_equal(put(set, &(struct test_policy){.name = "e", .day = 8, .spec = OF_CART}), ERR_NONE);
	assert_string_equal(applies(set, CART), "d/r e/r c/r b/r a/r ");
	assert_string_equal(applies(set, FRONT), "b/r a/r ");
}

static void a_change_concerns_the_workloads_that_it_is_about_and_no_other(void **state)
{
	struct policy_set *set = *state;
	assert_int_equal(put(set, &(struct test_policy){.spec = OF_CART}), ERR_NONE);
	assert_true(policy_set_has_changed(set) && concerns(set, CART));
	assert_false(concerns(set, FRONT));
	policy_set_settle(set);
	assert_false(policy_set_has_changed(set) || concerns(set, CART));
	/* The same spec with another status, as after each write of it. */
	assert_int_equal(put(set, &(struct test_policy){.spec = OF_CART, .status = "{'accepted': true}"}), ERR_NONE);
	assert_false(policy_set_has_changed(set));
	/* Whom it was about before, too. */
	assert_int_equal(
		put(set, &(struct test_policy){.generation = 2, .spec = "{'serviceAccounts': ['front'], " RULE "}"}),
		ERR_NONE);
	assert_true(concerns(set, CART) && concerns(set, FRONT));
	policy_set_settle(set);
	gone(set, &(struct test_policy){.spec = ALL});
	assert_true(concerns(set, FRONT) && !concerns(set, CART));
	policy_set_settle(set);
	assert_int_equal(set->namespaces.num, 0);
	assert_int_equal(put(set, &(struct test_policy){.spec = ALL}), ERR_NONE);
	assert_true(concerns(set, CART) && concerns(set, FRONT) && !concerns(set, OPS));
}

static void K14_an_object_that_becomes_invalid_changes_nothing_that_was_in_force(void **state)
{
	struct policy_set *set = *state;
	assert_int_equal(put(set, &(struct test_policy){.spec = OF_CART}), ERR_NONE);
	policy_set_settle(set);
	assert_int_equal(put(set, &(struct test_policy){.generation = 2, .spec = "{'mode': 'hard'}"}), ERR_NONE);
	assert_false(policy_set_has_changed(set));
	assert_string_equal(applies(set, CART), "cart/r ");
	const struct policy_entry *entry = LIST_FIRST(&set->entries, struct policy_entry, of_set);
	assert_int_equal(entry->refusal.err, ERR_MALFORMED);
	assert_int_equal(entry->generation, 2);
	/* Made anew under its name, it is another one. */
	assert_int_equal(put(set, &(struct test_policy){.uid = "another", .spec = "{'mode': 'hard'}"}), ERR_NONE);
	assert_string_equal(applies(set, CART), "");
	assert_true(concerns(set, CART));
}

static void K10_a_new_state_takes_over_when_it_is_whole(void **state)
{
	struct policy_set *set = *state;
	assert_int_equal(put(set, &(struct test_policy){.name = "a", .spec = ALL}), ERR_NONE);
	assert_int_equal(put(set, &(struct test_policy){.name = "b", .spec = ALL}), ERR_NONE);
	policy_set_settle(set);
	policy_set_begin(set);
	assert_int_equal(put(set, &(struct test_policy){.name = "b", .spec = ALL}), ERR_NONE);
	assert_string_equal(applies(set, CART), "a/r b/r ");
	assert_false(policy_set_has_changed(set));
	policy_set_synced(set);
	assert_string_equal(applies(set, CART), "b/r ");
	assert_true(concerns(set, CART));
}

static void K9_one_namespace_does_not_take_the_place_of_the_others(void **state)
{
	struct policy_set *set = *state;
	char name[16];
	for (unsigned i = 0; i <= POLICIES_NAMESPACE_MAX; i++) {
		snprintf(name, sizeof(name), "p%03u", i);
		assert_int_equal(put(set, &(struct test_policy){.name = name, .spec = ALL}),
			i < POLICIES_NAMESPACE_MAX ? ERR_NONE : ERR_LIMIT);
	}
	assert_int_equal(put(set, &(struct test_policy){.namespace_ = "ops", .spec = ALL}), ERR_NONE);
	assert_string_equal(applies(set, OPS), "cart/r ");
	/* The oldest are in force; where one goes, the next one follows. */
	assert_null(strstr(applies(set, CART), "p032/"));
	policy_set_settle(set);
	gone(set, &(struct test_policy){.name = "p007", .spec = ALL});
	assert_non_null(strstr(applies(set, CART), "p032/"));
	assert_null(strstr(applies(set, CART), "p033/"));
}

static void sidecars_are_counted_at_what_applies_to_them(void **state)
{
	struct policy_set *set = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id cart = {0}, front = {0};
	id_of(CART, &cart);
	id_of(FRONT, &front);
	assert_int_equal(put(set, &(struct test_policy){.name = "a", .spec = OF_CART}), ERR_NONE);
	assert_int_equal(put(set, &(struct test_policy){.name = "b", .spec = ALL}), ERR_NONE);
	policy_set_count(set, &cart, true);
	policy_set_count(set, &cart, false);
	policy_set_count(set, &front, true);
	const struct policy_entry *a = LIST_FIRST(&set->entries, struct policy_entry, of_set);
	const struct policy_entry *b = LIST_LAST(&set->entries, struct policy_entry, of_set);
	assert_true(a->counts.sidecars == 2 && a->counts.in_force == 1);
	assert_true(b->counts.sidecars == 3 && b->counts.in_force == 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POLICY_SET_TEST(K12_a_policy_applies_to_its_own_namespace_alone),
		POLICY_SET_TEST(what_names_accounts_goes_first_then_the_older_one),
		POLICY_SET_TEST(a_change_concerns_the_workloads_that_it_is_about_and_no_other),
		POLICY_SET_TEST(K14_an_object_that_becomes_invalid_changes_nothing_that_was_in_force),
		POLICY_SET_TEST(K10_a_new_state_takes_over_when_it_is_whole),
		POLICY_SET_TEST(K9_one_namespace_does_not_take_the_place_of_the_others),
		POLICY_SET_TEST(sidecars_are_counted_at_what_applies_to_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
