/* For tests: a set of the policies of cluster.local, as setup and teardown of a cmocka test whose state it is. */
#pragma once

#include "control/kube/policy_set.h"
#include "control/kube/test_policy.h"

#define POLICY_SET_TEST(name) cmocka_unit_test_setup_teardown(name, test_policy_set_start, test_policy_set_end)

extern const struct trust_domain test_policy_domain;

int test_policy_set_start(void **state);
int test_policy_set_end(void **state);
/* Fails the test where the set does not take it. */
struct policy_entry *test_policy_set_put(struct policy_set *set, const struct test_policy *policy);
