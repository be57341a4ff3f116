#include "base/core/mem.h"
#include "sidecar/report/dry_runs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void each_rule_has_its_counts_and_its_last_example(void **state)
{
	(void)state;
	struct dry_runs *runs = dry_runs_new();
	struct dry_run_counts counts;
	dry_runs_add(
		runs, &(struct dry_run_event){.rule = "a", .would_deny = true, .id = "spiffe://x/1", .port = 80}, 5);
	dry_runs_add(runs, &(struct dry_run_event){.rule = "a", .would_deny = true, .was_open = true, .port = 81}, 6);
	dry_runs_add(runs, &(struct dry_run_event){.rule = "b", .id = "spiffe://x/2", .port = 82}, 7);
	dry_runs_get(runs, "a", &counts);
	assert_int_equal(counts.denied, 2);
	assert_int_equal(counts.open, 1);
	assert_int_equal(counts.allowed, 0);
	assert_null(counts.last_id);
	assert_int_equal(counts.last_port, 81);
	dry_runs_get(runs, "b", &counts);
	assert_int_equal(counts.allowed, 1);
	assert_string_equal(counts.last_id, "spiffe://x/2");
	mem_free(counts.last_id);
	dry_runs_get(runs, "c", &counts);
	assert_int_equal(counts.last_wall_ms, 0);
	dry_runs_free(runs);
}

static void of_more_rules_than_have_a_place_the_oldest_is_forgotten(void **state)
{
	(void)state;
	struct dry_runs *runs = dry_runs_new();
	struct dry_run_counts counts;
	char name[16];
	for (int i = 0; i <= DRY_RUNS_MAX; i++) {
		snprintf(name, sizeof name, "r%d", i);
		dry_runs_add(runs, &(struct dry_run_event){.rule = name, .would_deny = true}, i + 1);
	}
	dry_runs_get(runs, "r0", &counts);
	assert_int_equal(counts.denied, 0);
	dry_runs_get(runs, "r1", &counts);
	assert_int_equal(counts.denied, 1);
	dry_runs_get(runs, name, &counts);
	assert_int_equal(counts.denied, 1);
	assert_int_equal(dry_runs_num_forgotten(runs), 1);
	dry_runs_free(runs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_has_its_counts_and_its_last_example),
		cmocka_unit_test(of_more_rules_than_have_a_place_the_oldest_is_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
