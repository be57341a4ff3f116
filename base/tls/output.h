/* Ciphertext on its way out: records gather here until one send(2) takes them all. Small amounts live in a small
 * allocation, bulk in a block borrowed from the thread's scratch; an empty output owns nothing. */
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

/* How much may be appended so that the whole stays within max and no great many bytes are moved for a little room. */
size_t output_room(const struct output *output, size_t max);
/* Makes room for len more bytes at once. ERR_LIMIT: more than a block holds. */
enum err output_reserve(struct output *output, size_t len) _must_use_;
enum err output_append(struct output *output, struct span bytes) _must_use_;
/* IO_DONE: empty; IO_WANT_WRITE; IO_FAILED: errnum says why. */
enum io_result output_flush(struct output *output, int fd) _must_use_;
