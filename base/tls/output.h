/* Buffered ciphertext output: gathers records for one send(2). Small amounts use a small allocation, bulk a block
 * borrowed from the thread's scratch; an empty output has no memory. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"
#include "base/tls/scratch.h"

struct output {
	struct tls_scratch *scratch;
	uint8_t *ptr; /* NULL: empty */
	uint32_t start, end, cap;
	int errnum; /* of the failed send(2), 0: none */
};

void output_init(struct output *output, struct tls_scratch *scratch);
void output_done(struct output *output);

static inline size_t output_len(const struct output *output)
{
	return output->end - output->start;
}

/* How many bytes can be appended within `max`, without moving many bytes for little room. */
size_t output_room(const struct output *output, size_t max);
/* Reserves room for len more bytes. ERR_LIMIT: more than a block. */
enum err output_reserve(struct output *output, size_t len) _must_use_;
enum err output_append(struct output *output, struct span bytes) _must_use_;
/* IO_DONE: empty; IO_WANT_WRITE; IO_FAILED: see errnum. */
enum io_result output_flush(struct output *output, int fd) _must_use_;
