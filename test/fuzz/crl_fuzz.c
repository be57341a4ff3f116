#include "base/core/check.h"
#include "certs/bundle.h"
#include "test/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const struct trust_domain domain = {"td.test"};
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	_cleanup_(bundle_set_unrefp) struct bundle_set *set = bundle_set_new();
	struct why why = {0};
	CHECK(bundle_new(&domain, NULL, 0, &bundle, NULL) == ERR_NONE);
	CHECK(bundle_set_add(set, bundle, NULL) == ERR_NONE);
	enum err err = bundle_set_add_crl(set, &domain, span_of(bytes, len), &why);
	CHECK(err == why.err);
	return 0;
}
