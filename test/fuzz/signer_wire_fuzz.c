#include "base/core/check.h"
#include "control/issue/wire.h"
#include "test/fuzz/fuzz.h"

static void check_inside(struct span outer, struct span inner)
{
	CHECK(inner.len == 0 || (inner.ptr >= outer.ptr && inner.ptr + inner.len <= outer.ptr + outer.len));
}

/* An accepted message lies within the datagram and encodes to the same bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct span whole = span_of(bytes, len);
	struct wire_request request = {0};
	struct wire_answer answer = {0};
	if (wire_request_parse(whole, &request) == ERR_NONE) {
		_cleanup_(buf_done) struct buf again = BUF_INIT(WIRE_MAX);
		check_inside(whole, request.spiffe_id);
		check_inside(whole, request.spki);
		CHECK(wire_request_encode(&request, &again) == ERR_NONE && span_eq(buf_span(&again), whole));
	}
	if (wire_answer_parse(whole, &answer) == ERR_NONE) {
		_cleanup_(buf_done) struct buf again = BUF_INIT(WIRE_MAX);
		CHECK(answer.num_certs <= WIRE_CERTS_MAX);
		check_inside(whole, answer.text);
		for (size_t i = 0; i < answer.num_certs; i++)
			check_inside(whole, answer.certs[i]);
		CHECK(wire_answer_encode(&answer, &again) == ERR_NONE && span_eq(buf_span(&again), whole));
	}
	return 0;
}
