#include "base/core/check.h"
/* Borrowed bytes: a pointer and a length. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const uint8_t *ptr;
	size_t len;
};

#define SPAN_LITERAL(text) ((struct span){(const uint8_t *)("" text), sizeof(text) - 1})

static inline struct span span_of(const void *bytes, size_t len)
{
	return (struct span){(const uint8_t *)bytes, len};
}

static inline struct span span_of_str(const char *text)
{
	return span_of(text, strlen(text));
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool span_starts_with(struct span whole, struct span start)
{
	return whole.len >= start.len && (start.len == 0 || memcmp(whole.ptr, start.ptr, start.len) == 0);
}

/* The bytes from `offset` on; offset <= len. */
static inline struct span span_from(struct span whole, size_t offset)
{
	CHECK(offset <= whole.len);
	return span_of(offset == 0 ? whole.ptr : whole.ptr + offset, whole.len - offset); /* NULL + 0 is undefined */
}

bool span_eq_constant_time(struct span a, struct span b); /* leaks the lengths, not the bytes */
