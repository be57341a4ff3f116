/* Packs and unpacks protocol-buffer messages. An unpacked message lives in one arena, bounded by the size of the input
 * (4 MiB of hostile bytes can unpack to 271 MB otherwise) and freed by one call. */
#pragma once

#include "base/core/buf.h"
#include <protobuf-c/protobuf-c.h>

/* Memory that a message may use beyond 8 bytes per input byte. */
#define PB_UNPACK_FREE (64u * 1024)

struct pb_arena;

/* ERR_MALFORMED: not such a message; ERR_TOO_LARGE: it would exceed the bound. *out lives in *out_arena. */
enum err pb_unpack(const ProtobufCMessageDescriptor *type, struct span bytes, struct pb_arena **out_arena,
	ProtobufCMessage **out, struct why *why) _must_use_;
void pb_arena_free(struct pb_arena *arena);
DEFINE_CLEANUP(struct pb_arena *, pb_arena_free)

/* Appends the message to *out; ERR_LIMIT as buf_append(). */
enum err pb_pack(const ProtobufCMessage *message, struct buf *out) _must_use_;

/* Bytes fields: borrowed in both directions. */
static inline struct span pb_span(ProtobufCBinaryData bytes)
{
	return span_of(bytes.data, bytes.len);
}
static inline ProtobufCBinaryData pb_bytes(struct span span)
{
	return (ProtobufCBinaryData){.len = span.len, .data = (uint8_t *)(uintptr_t)span.ptr};
}
