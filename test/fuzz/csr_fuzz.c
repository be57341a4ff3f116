#include "base/core/check.h"
#include "certs/csr.h"
#include "test/fuzz/fuzz.h"

/* An accepted request yields an allowed key, and a refused one nothing. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	_cleanup_(buf_done) struct buf spki = BUF_INIT(CSR_MAX);
	_cleanup_(private_key_unrefp) struct private_key *key = NULL;
	struct why why = {0};
	enum err err = csr_parse(span_of(bytes, len), &spki, &why);
	CHECK(err == why.err && (err == ERR_NONE) == (buf_len(&spki) > 0));
	if (err == ERR_NONE)
		CHECK(public_key_check(buf_span(&spki), NULL) == ERR_NONE);
	/* The same bytes for other parsers of outside bytes. */
	if (private_key_parse(span_of(bytes, len), &key, NULL) != ERR_NONE)
		CHECK(key == NULL);
	err = public_key_verify(span_of(bytes, len), SPAN_LITERAL("message"), span_of(bytes, len), &why);
	CHECK(err != ERR_NONE);
	return 0;
}
