#include "base/core/check.h"
#include "control/attest/join_token.h"
#include "sidecar/identity/token.h"
#include "test/fuzz/fuzz.h"

/* A line that the sidecar accepts equals the line that the control plane writes for the same parts: there is one
 * encoding. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	_cleanup_(token_done) struct token token = {0};
	struct why why = {0};
	struct span line = span_of(bytes, len);
	enum err err = token_parse(line, &token, &why);
	CHECK(err == why.err);
	if (err != ERR_NONE)
		return 0;
	_cleanup_(buf_done) struct buf again = BUF_INIT(JOIN_TOKEN_LINE_MAX * 4);
	if (join_token_line(buf_span(&token.id), buf_span(&token.secret), token.bootstrap_root_sha256, &again) !=
		ERR_NONE)
		return 0; /* longer than those of the control plane */
	CHECK(span_starts_with(line, buf_span(&again)) && len - buf_len(&again) <= 2);
	return 0;
}
