/* Parses gRPC's length-prefixed messages (one byte of flags, four of length, the message) from a byte stream. Pure. The
 * length is checked before allocation, and memory grows with the received bytes, not with the announced length. */
#pragma once

#include "base/core/buf.h"

#define RPC_FRAME_PREFIX_LEN 5

struct rpc_frame_reader {
	uint32_t message_max;
	uint32_t message_len; /* from the prefix */
	uint8_t prefix[RPC_FRAME_PREFIX_LEN];
	uint8_t prefix_len;
	struct buf partial; /* a message that was received in pieces */
};

void rpc_frame_reader_init(struct rpc_frame_reader *reader, uint32_t message_max);
void rpc_frame_reader_done(struct rpc_frame_reader *reader);
/* Consumes bytes from the front of *in. ERR_NONE: if *out_has_message, *out_message is a complete message (valid until
 * the next call; it may point into *in); else *in is consumed. ERR_TOO_LARGE; ERR_UNSUPPORTED: compressed;
 * ERR_MALFORMED: other flags. After an error the stream cannot be used. */
enum err rpc_frame_next(
	struct rpc_frame_reader *reader, struct span *in, bool *out_has_message, struct span *out_message) _must_use_;
bool rpc_frame_is_between(const struct rpc_frame_reader *reader); /* no message is incomplete */

void rpc_frame_prefix(uint32_t message_len, uint8_t out[RPC_FRAME_PREFIX_LEN]);
