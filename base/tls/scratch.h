/* Buffers shared by the sessions of one thread: the area that sockets are read into, and a few large output blocks. An
 * idle session has neither. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	/* Eight full records and their headers: what is read stays in the processor's cache until it has left again. */
	SCRATCH_INPUT_LEN = 8 * (16 * 1024 + 22),
	SCRATCH_BLOCK_LEN = 1024 * 1024 + 32 * 1024, /* TLS_OUTPUT_MAX and what BoringSSL adds */
	SCRATCH_NUM_SPARE = 2, /* tunnels are written one at a time; stalled ones keep their block */
};

/* The session with unread bytes in the area. Before another one uses it, on_evict() moves them out. */
struct scratch_owner {
	void (*on_evict)(struct scratch_owner *owner);
};

struct tls_scratch {
	struct scratch_owner *owner; /* NULL: no unread bytes in the area */
	size_t num_spare;
	uint8_t *spare[SCRATCH_NUM_SPARE];
	uint8_t input[SCRATCH_INPUT_LEN];
};

struct tls_scratch *tls_scratch_new(void);
void tls_scratch_free(struct tls_scratch *scratch);

/* Returns the area for reading, after evicting a former owner. */
uint8_t *scratch_claim(struct tls_scratch *scratch, struct scratch_owner *owner);
void scratch_release(struct tls_scratch *scratch, const struct scratch_owner *owner); /* no effect for others */

uint8_t *scratch_take_block(struct tls_scratch *scratch); /* SCRATCH_BLOCK_LEN bytes; give it back, or mem_free() */
void scratch_give_block(struct tls_scratch *scratch, uint8_t *block);
