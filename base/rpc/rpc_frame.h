/* gRPC's length-prefixed messages (one byte of flags, four of length, the message) out of a stream of bytes. Pure. The
 * length is judged before a byte is allocated, and memory grows with what has arrived, not with what was promised. */
#pragma once

#include "base/core/buf.h"

#define RPC_FRAME_PREFIX_LEN 5

struct rpc_frame_reader {
	uint32_t message_max;
	uint32_t message_len; /* as the prefix has it */
	uint8_t prefix[RPC_FRAME_PREFIX_LEN];
	uint8_t prefix_len;
	struct buf partial; /* a message that did not come in one piece */
};

void rpc_frame_reader_init(struct rpc_frame_reader *reader, uint32_t message_max);
void rpc_frame_reader_done(struct rpc_frame_reader *reader);
/* Takes bytes from the front of *in. ERR_NONE: *out_has_message tells whether *out_message (valid until the next call;
 * it may lie in *in) is one whole message; without one, *in is used up. ERR_TOO_LARGE; ERR_UNSUPPORTED: compressed;
 * ERR_MALFORMED: other flags. After an error the stream is of no more use. */
enum err rpc_frame_next(
	struct rpc_frame_reader *reader, struct span *in, bool *out_has_message, struct span *out_message) _must_use_;
bool rpc_frame_is_between(const struct rpc_frame_reader *reader); /* no message is half read */

void rpc_frame_prefix(uint32_t message_len, uint8_t out[RPC_FRAME_PREFIX_LEN]);
