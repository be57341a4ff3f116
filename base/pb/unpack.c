#include "base/pb/unpack.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include <stdalign.h>

enum { BLOCK = 4096 };

struct block {
	struct block *next;
	size_t used, cap;
	alignas(max_align_t) uint8_t bytes[];
};

struct pb_arena {
	struct block *blocks;
	size_t left;
	bool is_full;
};

static void *block_take(struct block *block, size_t len)
{
	CHECK(block->used <= block->cap && len <= block->cap - block->used);
	void *at = block->bytes + block->used;
	block->used += len;
	return at;
}

static void *arena_alloc(void *opaque, size_t len)
{
	struct pb_arena *arena = opaque;
	size_t rounded = (len + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (rounded < len || rounded > arena->left) {
		arena->is_full = true;
		return NULL;
	}
	arena->left -= rounded;
	if (arena->blocks == NULL || arena->blocks->cap - arena->blocks->used < rounded) {
		size_t cap = rounded > BLOCK ? rounded : BLOCK;
		struct block *block = mem_alloc(sizeof(*block) + cap);
		*block = (struct block){.next = arena->blocks, .cap = cap};
		arena->blocks = block;
	}
	return block_take(arena->blocks, rounded);
}

/* Single allocations are not freed: pb_arena_free() frees all. */
static void arena_release(void *opaque, void *pointer)
{
	(void)opaque;
	(void)pointer;
}

void pb_arena_free(struct pb_arena *arena)
{
	while (arena->blocks != NULL) {
		struct block *block = arena->blocks;
		arena->blocks = block->next;
		mem_wipe(block->bytes, block->used); /* it may contain attestation data */
		mem_free(block);
	}
	mem_free(arena);
}

enum err pb_unpack(const ProtobufCMessageDescriptor *type, struct span bytes, struct pb_arena **out_arena,
	ProtobufCMessage **out, struct why *why)
{
	CHECK(bytes.len < SIZE_MAX / 16); /* the product below does not overflow */
	_cleanup_(pb_arena_freep) struct pb_arena *arena = mem_new(struct pb_arena);
	arena->left = bytes.len * 8 + PB_UNPACK_FREE;
	ProtobufCAllocator allocator = {.alloc = arena_alloc, .free = arena_release, .allocator_data = arena};
	ProtobufCMessage *message = protobuf_c_message_unpack(type, &allocator, bytes.len, bytes.ptr);
	if (message == NULL && arena->is_full)
		return why_set(why, ERR_TOO_LARGE, "a message that unpacks to at most 8 times its size",
			"check the sender", "the message %s of %zu bytes unpacks to more", type->name, bytes.len);
	if (message == NULL)
		return why_set(why, ERR_MALFORMED, "a complete, well-formed message", "check the sender's release",
			"%zu bytes do not parse as the message %s", bytes.len, type->name);
	*out = message;
	*out_arena = TAKE_PTR(arena);
	return ERR_NONE;
}

enum err pb_pack(const ProtobufCMessage *message, struct buf *out)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	uint8_t *room;
	RETURN_IF_ERR(buf_reserve(out, len, &room));
	CHECK(protobuf_c_message_pack(message, room) == len);
	buf_commit(out, len);
	return ERR_NONE;
}
