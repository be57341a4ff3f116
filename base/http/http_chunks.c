#include "base/http/http_chunks.h"

enum { DIGITS_MAX = 8 };

static int digit_of(uint8_t byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The size at the begin of a line, whose rest may be an extension. */
static bool read_size(struct span line, size_t *out)
{
	size_t size = 0, num = 0;
	for (; num < line.len && digit_of(line.ptr[num]) >= 0; num++) {
		if (num == DIGITS_MAX)
			return false;
		size = size * 16 + (size_t)digit_of(line.ptr[num]);
	}
	*out = size;
	return num > 0 && (num == line.len || line.ptr[num] == ';' || line.ptr[num] == ' ' || line.ptr[num] == '\t');
}

enum err http_chunks_join(struct span chunked, struct buf *out)
{
	while (chunked.len > 0) {
		size_t size;
		const uint8_t *end = memmem(chunked.ptr, chunked.len, "\r\n", 2);
		if (end == NULL || !read_size(span_of(chunked.ptr, (size_t)(end - chunked.ptr)), &size))
			return ERR_MALFORMED;
		chunked = span_from(chunked, (size_t)(end - chunked.ptr) + 2);
		if (size == 0)
			return ERR_NONE;
		if (chunked.len < size + 2 || memcmp(chunked.ptr + size, "\r\n", 2) != 0)
			return ERR_MALFORMED;
		RETURN_IF_ERR(buf_append(out, span_of(chunked.ptr, size)));
		chunked = span_from(chunked, size + 2);
	}
	return ERR_MALFORMED;
}
