#include "control/kube/kube_subject.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define UID   "01de9771-360f-4911-b911-f104d39d3813"
#define LABEL "a23456789012345678901234567890123456789012345678901234567890123" /* 63 bytes */

static enum err set(const char *namespace_, const char *account, const char *pod, const char *uid)
{
	struct kube_subject subject = {0};
	struct kube_subject_names names = {namespace_, account, pod, uid};
	return kube_subject_set(&subject, &names, NULL);
}

static void names_are_those_that_the_api_server_allows(void **state)
{
	(void)state;
	assert_int_equal(set("shop", "cart", "cart-1", UID), ERR_NONE);
	assert_int_equal(set(LABEL, LABEL "." LABEL "." LABEL ".x", "a.b-c.9", "0123abcd"), ERR_NONE);
	assert_int_equal(set("0", "0", "0", "0"), ERR_NONE);
}

static void N1_refuses_names_that_would_change_a_spiffe_id(void **state)
{
	(void)state;
	const char *refused[] = {"", "a/b", "..", ".", "a..b", ".a", "a.", "-a", "a-", "a.-b", "a-.b", "A", "a_b",
		"a b", "a%2f", "a\n", "\xc3\xa4", LABEL LABEL LABEL LABEL "xx", NULL};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		assert_int_equal(set(refused[i], "cart", "cart-1", UID), ERR_MALFORMED);
		assert_int_equal(set("shop", refused[i], "cart-1", UID), ERR_MALFORMED);
		assert_int_equal(set("shop", "cart", refused[i], UID), ERR_MALFORMED);
	}
	assert_int_equal(set("a.b", "cart", "cart-1", UID), ERR_MALFORMED); /* a namespace is one label */
	assert_int_equal(set(LABEL "4", "cart", "cart-1", UID), ERR_MALFORMED);
	assert_int_equal(set("shop", "cart", "cart-1", "a b"), ERR_MALFORMED);
	assert_int_equal(set("shop", "cart", "cart-1", ""), ERR_MALFORMED);
	assert_int_equal(set("shop", "cart", "cart-1", NULL), ERR_MALFORMED);
}

static void a_token_without_a_pod_is_denied(void **state)
{
	(void)state;
	assert_int_equal(set("shop", "cart", NULL, NULL), ERR_DENIED);
}

static void the_user_name_is_compared_whole(void **state)
{
	(void)state;
	struct kube_subject subject = {0};
	struct kube_subject_names names = {"shop", "cart", "cart-1", UID};
	assert_int_equal(kube_subject_set(&subject, &names, NULL), ERR_NONE);
	assert_true(kube_subject_is_user(&subject, "system:serviceaccount:shop:cart"));
	assert_false(kube_subject_is_user(&subject, "system:serviceaccount:shop:cart2"));
	assert_false(kube_subject_is_user(&subject, "system:serviceaccount:shop:car"));
	assert_false(kube_subject_is_user(&subject, NULL));
	struct kube_subject other = subject;
	assert_true(kube_subject_eq(&subject, &other));
	other.pod_uid[0] = '1';
	assert_false(kube_subject_eq(&subject, &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_those_that_the_api_server_allows),
		cmocka_unit_test(N1_refuses_names_that_would_change_a_spiffe_id),
		cmocka_unit_test(a_token_without_a_pod_is_denied),
		cmocka_unit_test(the_user_name_is_compared_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
