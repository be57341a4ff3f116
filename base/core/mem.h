/* The only file that calls the allocator. Out of memory ends the process: limits (connections, bytes per connection,
 * message size) make it unreachable from the network. */
#pragma once

#include "base/core/cleanup.h"
#include <stdint.h>

void *mem_alloc(size_t len) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *mem_zalloc(size_t len) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *mem_calloc(size_t num, size_t size) __attribute__((malloc, alloc_size(1, 2), returns_nonnull));
void *mem_realloc(void *pointer, size_t len) __attribute__((alloc_size(2), returns_nonnull));
void *mem_dup(const void *bytes, size_t len) __attribute__((returns_nonnull)); /* len 0 is allowed */
char *mem_strdup(const char *text) __attribute__((returns_nonnull));
char *mem_printf(const char *format, ...) _printf_(1, 2) __attribute__((returns_nonnull));
void mem_free(void *pointer);
void mem_wipe(void *bytes, size_t len); /* never optimized away */

#define mem_new(type) ((type *)mem_zalloc(sizeof(type)))

static inline void mem_freep(void *pointer)
{
	mem_free(*(void **)pointer);
}
