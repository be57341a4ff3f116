#include "base/core/check.h"
#include "sidecar/identity/state_text.h"
#include "test/fuzz/fuzz.h"

/* An accepted state encodes to the same text: a changed byte is damage. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct enrolled_state state = {0};
	struct why why = {0};
	enum err err = state_text_parse(span_of(bytes, len), &state, &why);
	CHECK(err == why.err && (err == ERR_NONE || err == ERR_STATE_DAMAGED));
	if (err != ERR_NONE)
		return 0;
	_cleanup_(buf_done) struct buf again = BUF_INIT(STATE_TEXT_MAX);
	CHECK(state_text_encode(&state, &again) == ERR_NONE && span_eq(buf_span(&again), span_of(bytes, len)));
	return 0;
}
