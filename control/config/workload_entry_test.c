#include "base/core/mem.h"
#include "control/config/workload_entry.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define DNS "x509:san:dns:db1.example"
#define CN  "x509:subject:cn:db1"
#define CA  "x509:ca-fingerprint:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct trust_domain domain = {"td"};

static struct workload_entry entry_of(const char *name, const char *id, const char *one, const char *two)
{
	struct workload_entry entry = {.name = mem_strdup(name)};
	assert_int_equal(spiffe_id_parse(span_of_str(id), &entry.id, NULL), ERR_NONE);
	if (one != NULL)
		assert_int_equal(workload_entry_add_selector(&entry, span_of_str(one), NULL), ERR_NONE);
	if (two != NULL)
		assert_int_equal(workload_entry_add_selector(&entry, span_of_str(two), NULL), ERR_NONE);
	return entry;
}

static struct selector_set facts_of(const char *one, const char *two, const char *three)
{
	struct selector_set facts = {0};
	selector_set_add(&facts, span_of_str(one));
	if (two != NULL)
		selector_set_add(&facts, span_of_str(two));
	if (three != NULL)
		selector_set_add(&facts, span_of_str(three));
	return facts;
}

/* The name of the entry that decides; "": none; "!": they contradict each other. */
static const char *choose(const struct selector_set *facts, const struct workload_entry *entries, size_t num)
{
	struct workload_choice choice = {.facts = facts};
	for (size_t i = 0; i < num; i++)
		workload_choice_consider(&choice, &entries[i]);
	for (size_t i = 0; choice.best != NULL && i < num; i++)
		if (workload_choice_confirm(&choice, &entries[i], NULL) != ERR_NONE)
			return "!";
	return choice.best == NULL ? "" : choice.best->name;
}

static void a_set_has_each_text_once_and_in_order(void **state)
{
	(void)state;
	_cleanup_(selector_set_done) struct selector_set set = facts_of("b", "a", "b"), more = facts_of("a", "b", "c");
	assert_int_equal(set.num, 2);
	assert_string_equal(set.texts[0], "a");
	assert_true(selector_set_has_all(&more, &set));
	assert_false(selector_set_has_all(&set, &more));
	for (unsigned i = 0; i < 100; i++) {
		char text[8];
		snprintf(text, sizeof text, "%u", 100 - i);
		selector_set_add(&set, span_of_str(text));
	}
	assert_int_equal(set.num, 102);
}

static void an_entry_fits_only_if_all_its_selectors_are_proven(void **state)
{
	(void)state;
	_cleanup_(workload_entry_done) struct workload_entry entry = entry_of("db", "spiffe://td/db", DNS, CN);
	_cleanup_(selector_set_done) struct selector_set both = facts_of(DNS, CN, CA), one = facts_of(DNS, CA, NULL);
	assert_string_equal(choose(&both, &entry, 1), "db");
	assert_string_equal(choose(&one, &entry, 1), "");
	assert_string_equal(choose(&both, NULL, 0), "");
}

static void the_entry_that_has_all_selectors_of_the_other_decides(void **state)
{
	(void)state;
	struct workload_entry entries[] = {entry_of("all", "spiffe://td/all", CA, NULL),
		entry_of("db", "spiffe://td/db", DNS, CA), entry_of("same", "spiffe://td/db", CN, NULL)};
	_cleanup_(selector_set_done) struct selector_set facts = facts_of(DNS, CA, NULL),
							 other = facts_of(CA, NULL, NULL),
							 third = facts_of(DNS, CA, CN);
	assert_string_equal(choose(&facts, entries, 3), "db");
	assert_string_equal(choose(&other, entries, 3), "all");
	assert_string_equal(choose(&third, entries, 3), "db"); /* the third gives the same identity */
	for (size_t i = 0; i < 3; i++)
		workload_entry_done(&entries[i]);
}

static void W32_entries_that_contradict_each_other_give_no_identity(void **state)
{
	(void)state;
	struct workload_entry entries[] = {entry_of("one", "spiffe://td/one", DNS, NULL),
		entry_of("two", "spiffe://td/two", CN, NULL), entry_of("three", "spiffe://td/three", CA, CN)};
	_cleanup_(selector_set_done) struct selector_set facts = facts_of(DNS, CN, NULL), all = facts_of(DNS, CN, CA);
	assert_string_equal(choose(&facts, entries, 2), "!");
	assert_string_equal(
		choose(&all, entries, 3), "!"); /* the third is narrower than the second, not than the first */
	assert_int_equal(workload_entry_check_beside(&entries[0], &entries[1], NULL), ERR_NONE);
	workload_entry_done(&entries[1]);
	entries[1] = entry_of("two", "spiffe://td/two", DNS, NULL);
	assert_int_equal(workload_entry_check_beside(&entries[0], &entries[1], NULL), ERR_EXISTS);
	for (size_t i = 0; i < 3; i++)
		workload_entry_done(&entries[i]);
}

static void refuses_selectors_that_no_fact_can_match(void **state)
{
	(void)state;
	static const char *const wrong[] = {"", "x509", "x509:san:dns:", "x509:san:dns:DB1.example",
		"x509:san:ip:1.2.3.4", "x509:ca-fingerprint:abc", "x509:subject:cn:a\nb", "k8s:ns:a"};
	_cleanup_(workload_entry_done) struct workload_entry entry = {0};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(workload_entry_add_selector(&entry, span_of_str(wrong[i]), NULL), ERR_MALFORMED);
	_cleanup_(mem_freep) char *text = mem_printf("x509:subject:cn:%0600d", 1);
	assert_int_equal(workload_entry_add_selector(&entry, span_of_str(text), NULL), ERR_MALFORMED);
	for (unsigned i = 0; i < WORKLOAD_ENTRY_SELECTORS_MAX; i++) {
		char cn[32];
		snprintf(cn, sizeof cn, "x509:subject:cn:%u", i);
		assert_int_equal(workload_entry_add_selector(&entry, span_of_str(cn), NULL), ERR_NONE);
	}
	assert_int_equal(workload_entry_add_selector(&entry, span_of_str(DNS), NULL), ERR_LIMIT);
}

static void W32_an_entry_without_selectors_or_for_a_reserved_identity_is_refused(void **state)
{
	(void)state;
	static const char *const ids[] = {"spiffe://other/db", "spiffe://td", "spiffe://td/handfast/control"};
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		_cleanup_(workload_entry_done) struct workload_entry entry = entry_of("db", ids[i], DNS, NULL);
		assert_int_equal(workload_entry_check(&entry, &domain, NULL), ERR_CONFIG);
	}
	_cleanup_(workload_entry_done) struct workload_entry empty = entry_of("db", "spiffe://td/db", NULL, NULL);
	assert_int_equal(workload_entry_check(&empty, &domain, NULL), ERR_CONFIG);
	_cleanup_(workload_entry_done) struct workload_entry good = entry_of("db", "spiffe://td/db", DNS, NULL);
	assert_int_equal(workload_entry_check(&good, &domain, NULL), ERR_NONE);
	good.ttl_s = 1;
	assert_int_equal(workload_entry_check(&good, &domain, NULL), ERR_CONFIG);
	good.ttl_s = WORKLOAD_ENTRY_TTL_MAX_S + 1;
	assert_int_equal(workload_entry_check(&good, &domain, NULL), ERR_CONFIG);
	assert_int_equal(workload_entry_name_check(SPAN_LITERAL("a/b"), NULL), ERR_MALFORMED);
	assert_int_equal(workload_entry_name_check(SPAN_LITERAL(""), NULL), ERR_MALFORMED);
	assert_int_equal(workload_entry_name_check(SPAN_LITERAL("db-1.x_y"), NULL), ERR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_has_each_text_once_and_in_order),
		cmocka_unit_test(an_entry_fits_only_if_all_its_selectors_are_proven),
		cmocka_unit_test(the_entry_that_has_all_selectors_of_the_other_decides),
		cmocka_unit_test(W32_entries_that_contradict_each_other_give_no_identity),
		cmocka_unit_test(refuses_selectors_that_no_fact_can_match),
		cmocka_unit_test(W32_an_entry_without_selectors_or_for_a_reserved_identity_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
