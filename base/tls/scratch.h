/* What the sessions of one thread share instead of each holding it: the area that sockets are read into, and a few
 * large output blocks. An idle session then owns neither. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	SCRATCH_INPUT_LEN = 512 * 1024,
	SCRATCH_BLOCK_LEN = 1024 * 1024 + 32 * 1024, /* TLS_OUTPUT_MAX and what the library adds by itself */
	SCRATCH_NUM_SPARE = 2, /* tunnels are written one after the other; stalled ones keep their own */
};

/* Whoever has unread bytes in the area. Before another one uses it, on_evict() moves them out. */
struct scratch_owner {
	void (*on_evict)(struct scratch_owner *holder);
};

struct tls_scratch {
	struct scratch_owner *holder; /* NULL: the area holds nothing of worth */
	size_t num_spare;
	uint8_t *spare[SCRATCH_NUM_SPARE];
	uint8_t input[SCRATCH_INPUT_LEN];
};

struct tls_scratch *tls_scratch_new(void);
void tls_scratch_free(struct tls_scratch *scratch);

/* The area, free to be read into; a former holder has been evicted. */
uint8_t *scratch_claim(struct tls_scratch *scratch, struct scratch_owner *holder);
void scratch_release(struct tls_scratch *scratch, const struct scratch_owner *holder); /* no-op for who holds it not */

uint8_t *scratch_take_block(struct tls_scratch *scratch); /* SCRATCH_BLOCK_LEN bytes; give it back, or mem_free() */
void scratch_give_block(struct tls_scratch *scratch, uint8_t *block);
