#include "base/tls/output.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <errno.h>
#include <sys/socket.h>

enum {
	SMALL_FIRST = 1024,
	SMALL_MAX = 32 * 1024, /* above it, a block */
	SEND_MAX = 512 * 1024, /* per call; more would delay other connections */
	WASTEFUL_FACTOR = 4,   /* a block used to less than 1/4 is released */
};

_Static_assert((uint32_t)SMALL_MAX < (uint32_t)SCRATCH_BLOCK_LEN, "release() recognizes a block by its size");

void output_init(struct output *output, struct tls_scratch *scratch)
{
	*output = (struct output){.scratch = scratch};
}

static void release(struct output *output)
{
	if (output->cap == SCRATCH_BLOCK_LEN)
		scratch_give_block(output->scratch, output->ptr);
	else
		mem_free(output->ptr);
	output->ptr = NULL;
	output->start = output->end = output->cap = 0;
}

void output_done(struct output *output)
{
	release(output);
}

static uint32_t small_cap_for(size_t len)
{
	uint32_t cap = SMALL_FIRST;
	while (cap < len)
		cap *= 2;
	return cap;
}

static void move_to(struct output *output, uint8_t *ptr, uint32_t cap)
{
	uint32_t len = (uint32_t)output_len(output);
	CHECK(ptr != NULL && len <= cap);
	if (len > 0)
		memcpy(ptr, output->ptr + output->start, len);
	release(output);
	output->ptr = ptr;
	output->end = len;
	output->cap = cap;
}

size_t output_room(const struct output *output, size_t max)
{
	size_t len = output_len(output);
	size_t taken = output->start >= len ? len : output->end; /* moving more bytes than are freed does not pay */
	return taken < max ? max - taken : 0;
}

enum err output_reserve(struct output *output, size_t len)
{
	if (output->cap - output->end >= len)
		return ERR_NONE;
	size_t needed = output_len(output) + len;
	if (len > SCRATCH_BLOCK_LEN || needed > SCRATCH_BLOCK_LEN)
		return ERR_LIMIT;
	if (needed <= output->cap) {
		memmove(output->ptr, output->ptr + output->start, output_len(output));
		output->end -= output->start;
		output->start = 0;
	} else if (needed <= SMALL_MAX) {
		uint32_t cap = small_cap_for(needed);
		move_to(output, mem_alloc(cap), cap);
	} else {
		move_to(output, scratch_take_block(output->scratch), SCRATCH_BLOCK_LEN);
	}
	CHECK(output->cap - output->end >= len);
	return ERR_NONE;
}

enum err output_append(struct output *output, struct span bytes)
{
	RETURN_IF_ERR(output_reserve(output, bytes.len));
	memcpy(output->ptr + output->end, bytes.ptr, bytes.len);
	output->end += (uint32_t)bytes.len;
	return ERR_NONE;
}

/* A peer that stops reading must not occupy a block for a small rest. */
static void shrink(struct output *output)
{
	size_t len = output_len(output);
	if (output->cap <= SMALL_MAX || len > output->cap / WASTEFUL_FACTOR)
		return;
	uint32_t cap = small_cap_for(len);
	move_to(output, mem_alloc(cap), cap);
}

enum io_result output_flush(struct output *output, int fd)
{
	if (output->errnum != 0)
		return IO_FAILED;
	while (output_len(output) > 0) {
		size_t len = output_len(output) < SEND_MAX ? output_len(output) : SEND_MAX;
		ssize_t sent = send(fd, output->ptr + output->start, len, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
			output->errnum = errno;
			return IO_FAILED;
		}
		if (sent > 0)
			output->start += (uint32_t)sent;
		if (sent < (ssize_t)len) {
			shrink(output);
			return IO_WANT_WRITE;
		}
	}
	release(output);
	return IO_DONE;
}
