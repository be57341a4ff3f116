#include "control/store/etcd/etcd_refusal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static const struct etcd_who who = {"handfast", "/hf/", "/etc/handfast/password"};

/* Texts of etcd 3.4 and 3.5, with their codes. */
static void each_refusal_of_a_user_is_known(void **state)
{
	static const struct {
		enum rpc_status status;
		const char *message;
		enum etcd_refusal expected;
	} cases[] = {
		{RPC_UNAUTHENTICATED, "etcdserver: invalid auth token", ETCD_REFUSAL_TOKEN},
		{RPC_INVALID_ARGUMENT, "etcdserver: revision of auth store is old", ETCD_REFUSAL_TOKEN},
		{RPC_UNKNOWN, "auth: revision in header is old", ETCD_REFUSAL_TOKEN},
		{RPC_INVALID_ARGUMENT, "etcdserver: user name is empty", ETCD_REFUSAL_NO_USER},
		{RPC_INVALID_ARGUMENT, "etcdserver: authentication failed, invalid user ID or password",
			ETCD_REFUSAL_PASSWORD},
		{RPC_FAILED_PRECONDITION, "etcdserver: user name not found", ETCD_REFUSAL_PASSWORD},
		{RPC_PERMISSION_DENIED, "etcdserver: permission denied", ETCD_REFUSAL_PERMISSION},
		/* of a watch: its reason alone */
		{RPC_UNAVAILABLE, "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
			ETCD_REFUSAL_PERMISSION},
		{RPC_FAILED_PRECONDITION, "etcdserver: authentication is not enabled", ETCD_REFUSAL_NOT_ON},
		{RPC_UNAVAILABLE, "etcdserver: no leader", ETCD_REFUSAL_OTHER},
		{RPC_RESOURCE_EXHAUSTED, "etcdserver: too many requests", ETCD_REFUSAL_OTHER},
		{RPC_UNAVAILABLE, NULL, ETCD_REFUSAL_OTHER},
		{RPC_OK, NULL, ETCD_REFUSAL_OTHER},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(etcd_refusal_of(cases[i].status, cases[i].message), cases[i].expected);
}

static void what_to_do_is_in_the_error(void **state)
{
	struct why why = {0};
	(void)state;
	etcd_refusal_why(RPC_PERMISSION_DENIED, "etcdserver: permission denied", &who, &why);
	assert_int_equal(why.err, ERR_DENIED);
	assert_non_null(strstr(why.got, "'handfast'"));
	assert_non_null(strstr(why.expected, "readwrite permission for the prefix /hf/"));
	assert_non_null(strstr(why.fix, "grant-permission ROLE --prefix=true readwrite /hf/"));
	etcd_refusal_why(RPC_INVALID_ARGUMENT, "authentication failed, invalid user ID or password", &who, &why);
	assert_int_equal(why.err, ERR_DENIED);
	assert_non_null(strstr(why.got, "the password in /etc/handfast/password"));
	etcd_refusal_why(RPC_UNAUTHENTICATED, "etcdserver: invalid auth token", &who, &why);
	assert_int_equal(why.err, ERR_EXPIRED);
	etcd_refusal_why(RPC_UNAVAILABLE, "etcdserver: no leader", &who, &why);
	assert_int_equal(why.err, ERR_UNAVAILABLE);
	assert_non_null(strstr(why.got, "no leader"));
}

static void without_a_user_the_certificate_is_named(void **state)
{
	const struct etcd_who none = {NULL, "/hf/", NULL};
	struct why why = {0};
	(void)state;
	etcd_refusal_why(RPC_PERMISSION_DENIED, "etcdserver: permission denied", &none, &why);
	assert_non_null(strstr(why.got, "store.etcd.certificate"));
	etcd_refusal_why(RPC_INVALID_ARGUMENT, "etcdserver: user name is empty", &none, &why);
	assert_int_equal(why.err, ERR_DENIED);
	assert_non_null(strstr(why.fix, "store.etcd.user"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_refusal_of_a_user_is_known),
		cmocka_unit_test(what_to_do_is_in_the_error),
		cmocka_unit_test(without_a_user_the_certificate_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
