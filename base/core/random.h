/* Random bytes from the kernel, for jitter, ids and seeds. (Keys come from BoringSSL.) Injected where
 * tests need known values. */
#pragma once

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t len);
uint32_t random_u32(void);
uint64_t random_u64(void);
/* A fast generator for load spreading; predictable, not for security (xorshift32, Marsaglia 2003). *state: initially
 * any number but 0. */
uint32_t random_spread(uint32_t *state);
