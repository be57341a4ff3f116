/* Random bytes from the kernel, for jitter, ids and seeds. (Keys come from BoringSSL.) Injected where tests need to
 * know. */
#pragma once

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t len);
uint32_t random_u32(void);
uint64_t random_u64(void);
