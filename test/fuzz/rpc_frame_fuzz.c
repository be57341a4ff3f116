#include "base/core/check.h"
#include "base/rpc/rpc_frame.h"
#include "test/fuzz/fuzz.h"

enum { MESSAGE_MAX = 1000 };

/* Reads all messages, in pieces of that size; returns how many, and folds their bytes into *out_sum. */
static unsigned read_all(struct span bytes, size_t piece, enum err *out_err, uint64_t *out_sum)
{
	_cleanup_(rpc_frame_reader_done) struct rpc_frame_reader reader;
	rpc_frame_reader_init(&reader, MESSAGE_MAX);
	unsigned num = 0;
	*out_err = ERR_NONE;
	*out_sum = 0;
	while (bytes.len > 0) {
		struct span in = span_of(bytes.ptr, bytes.len < piece ? bytes.len : piece), message;
		bytes = span_from(bytes, in.len);
		bool has_message = true;
		while (has_message) {
			*out_err = rpc_frame_next(&reader, &in, &has_message, &message);
			if (*out_err != ERR_NONE)
				return num;
			if (!has_message)
				break;
			CHECK(message.len <= MESSAGE_MAX && message.len == reader.message_len);
			for (size_t i = 0; i < message.len; i++)
				*out_sum = *out_sum * 31 + message.ptr[i];
			num++;
		}
		CHECK(in.len == 0);
	}
	return num;
}

/* The result does not depend on the size of the pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	enum err whole_err, cut_err;
	uint64_t whole_sum, cut_sum;
	unsigned whole = read_all(span_of(bytes, len), len + 1, &whole_err, &whole_sum);
	for (size_t piece = 1; piece <= 7; piece += 3) {
		CHECK(read_all(span_of(bytes, len), piece, &cut_err, &cut_sum) == whole);
		CHECK(cut_err == whole_err && cut_sum == whole_sum);
	}
	return 0;
}
