#include "sidecar/identity/istio_refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void each_status_has_its_own_fix(void **state)
{
	static const struct {
		enum rpc_status status;
		enum err err;
		const char *fix;
	} cases[] = {
		{RPC_UNAUTHENTICATED, ERR_DENIED, "audience istio-ca"},
		{RPC_PERMISSION_DENIED, ERR_DENIED, "identity.spiffe_id"},
		{RPC_INVALID_ARGUMENT, ERR_MALFORMED, "identity.istio_ttl"},
		{RPC_UNIMPLEMENTED, ERR_UNSUPPORTED, "identity.istio_address"},
		{RPC_DEADLINE_EXCEEDED, ERR_TIMEOUT, "API server"},
		{RPC_RESOURCE_EXHAUSTED, ERR_LIMIT, "log of istiod"},
		{RPC_OK, ERR_MALFORMED, "log of istiod"},
		{RPC_UNAVAILABLE, ERR_UNAVAILABLE, "log of istiod"},
		{RPC_INTERNAL, ERR_UNAVAILABLE, "log of istiod"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct why why = {0};
		assert_int_equal(istio_refusal_why(cases[i].status, "as it was", "/token", &why), cases[i].err);
		assert_int_equal(why.err, cases[i].err);
		assert_non_null(strstr(why.fix, cases[i].fix));
		assert_null(strstr(why.fix, "...")); /* not cut */
		assert_non_null(strstr(why.got, "/token"));
		assert_non_null(strstr(why.got, "as it was"));
	}
}

static void a_refusal_without_words_is_named(void **state)
{
	struct why why = {0};
	(void)state;
	assert_int_equal(istio_refusal_why(RPC_UNAUTHENTICATED, NULL, "/token", &why), ERR_DENIED);
	assert_non_null(strstr(why.got, rpc_status_name(RPC_UNAUTHENTICATED)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_status_has_its_own_fix),
		cmocka_unit_test(a_refusal_without_words_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
