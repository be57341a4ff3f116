/* Random bytes from the kernel, for jitter, ids and seeds. (Keys come from BoringSSL.) Injected where tests need to
 * know. */
#pragma once

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t len);
uint32_t random_u32(void);
uint64_t random_u64(void);
/* For spreading load, without a system call and for nothing that a stranger must not guess. *state: any number but 0 at
 * first (xorshift32, Marsaglia 2003). */
uint32_t random_spread(uint32_t *state);
