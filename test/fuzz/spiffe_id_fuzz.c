#include "base/core/check.h"
#include "certs/spiffe_id.h"
#include "test/fuzz/fuzz.h"

/* A valid SPIFFE ID can be rebuilt from its parts, byte for byte; a copy equals it. */
static void check_parts(struct span text)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0}, copy = {0};
	struct trust_domain domain;
	struct why why = {0};
	if (spiffe_id_parse(text, &id, &why) != ERR_NONE) {
		CHECK(!spiffe_id_is_set(&id) && why.err != ERR_NONE);
		return;
	}
	struct span name = spiffe_id_trust_domain(&id), path = spiffe_id_path(&id);
	CHECK(span_eq(spiffe_id_text(&id), text));
	CHECK(9 + name.len + path.len == text.len && strlen(id.text) == text.len);
	CHECK(trust_domain_parse(name, &domain, NULL) == ERR_NONE && spiffe_id_in_trust_domain(&id, &domain));
	spiffe_id_copy(&id, &copy);
	CHECK(spiffe_id_eq(&id, &copy));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct trust_domain domain;
	check_parts(span_of(bytes, len));
	if (trust_domain_parse(span_of(bytes, len), &domain, NULL) == ERR_NONE)
		CHECK(strlen(domain.name) == len);
	return 0;
}
