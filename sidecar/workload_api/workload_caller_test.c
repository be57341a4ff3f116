#include "sidecar/workload_api/workload_caller.h"

#include "base/core/cleanup.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static const uid_t uids[] = {1000, 1001};
static const struct workload_rules rules = {
	.own = 1337, .uids = uids, .num_uids = 2, .has_namespace = true, .network_namespace = 7};

static enum err judged(const struct workload_rules *by, struct workload_caller caller)
{
	struct why why = {0};
	enum err err = workload_rules_judge(by, &caller, &why);
	assert_int_equal(why.err, err);
	return err;
}

static struct workload_caller of_user(uid_t uid)
{
	return (struct workload_caller){.uid = uid, .has_namespace = true, .network_namespace = 7};
}

static void the_listed_users_root_and_the_own_user_may_ask(void **state)
{
	(void)state;
	assert_int_equal(judged(&rules, of_user(1000)), ERR_NONE);
	assert_int_equal(judged(&rules, of_user(1001)), ERR_NONE);
	assert_int_equal(judged(&rules, of_user(0)), ERR_NONE);
	assert_int_equal(judged(&rules, of_user(1337)), ERR_NONE);
}

static void W1_another_user_may_not_ask(void **state)
{
	(void)state;
	assert_int_equal(judged(&rules, of_user(1002)), ERR_DENIED);
	struct workload_rules none = rules;
	none.num_uids = 0;
	assert_int_equal(judged(&none, of_user(1000)), ERR_DENIED);
}

static void every_user_may_ask_where_the_folder_decides(void **state)
{
	(void)state;
	struct workload_rules all = rules;
	all.allows_every_user = true;
	assert_int_equal(judged(&all, of_user(1002)), ERR_NONE);
}

static void W6_a_user_without_a_number_here_may_not_ask(void **state)
{
	(void)state;
	const uid_t overflow[] = {WORKLOAD_OVERFLOW_UID};
	struct workload_rules all = rules;
	all.allows_every_user = true;
	all.uids = overflow;
	all.num_uids = 1;
	assert_int_equal(judged(&all, of_user(WORKLOAD_OVERFLOW_UID)), ERR_DENIED);
}

static void a_process_of_another_network_namespace_may_not_ask(void **state)
{
	(void)state;
	struct workload_caller other = of_user(1000);
	other.network_namespace = 8;
	assert_int_equal(judged(&rules, other), ERR_DENIED);
	other.uid = 0;
	assert_int_equal(judged(&rules, other), ERR_DENIED);
}

static void an_older_kernel_reports_no_namespace(void **state)
{
	(void)state;
	struct workload_caller caller = {.uid = 1000};
	assert_int_equal(judged(&rules, caller), ERR_NONE);
	caller.uid = 1002;
	assert_int_equal(judged(&rules, caller), ERR_DENIED);
}

static void the_facts_are_the_kernels(void **state)
{
	(void)state;
	int ends[2];
	struct workload_caller caller;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(workload_caller_of(ends[0], &caller), ERR_NONE);
	assert_int_equal(caller.uid, geteuid());
	close(ends[0]);
	close(ends[1]);
	int tcp = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_not_equal(workload_caller_of(tcp, &caller), ERR_NONE);
	close(tcp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_listed_users_root_and_the_own_user_may_ask),
		cmocka_unit_test(W1_another_user_may_not_ask),
		cmocka_unit_test(every_user_may_ask_where_the_folder_decides),
		cmocka_unit_test(W6_a_user_without_a_number_here_may_not_ask),
		cmocka_unit_test(a_process_of_another_network_namespace_may_not_ask),
		cmocka_unit_test(an_older_kernel_reports_no_namespace),
		cmocka_unit_test(the_facts_are_the_kernels),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
