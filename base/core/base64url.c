#include "base/core/base64url.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum err base64url_encode(struct span bytes, struct buf *out)
{
	uint8_t *to;
	size_t len = (bytes.len * 4 + 2) / 3, at = 0;
	unsigned bits = 0, num_bits = 0;
	RETURN_IF_ERR(buf_reserve(out, len, &to));
	for (size_t i = 0; i < bytes.len; i++) {
		bits = (bits << 8 | bytes.ptr[i]) & 0xffff;
		for (num_bits += 8; num_bits >= 6; num_bits -= 6)
			to[at++] = (uint8_t)alphabet[bits >> (num_bits - 6) & 63];
	}
	if (num_bits > 0)
		to[at++] = (uint8_t)alphabet[bits << (6 - num_bits) & 63];
	buf_commit(out, at);
	return ERR_NONE;
}

/* 64: not in the alphabet. */
static unsigned value_of(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return (unsigned)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (unsigned)(c - 'a') + 26;
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0') + 52;
	return c == '-' ? 62 : c == '_' ? 63 : 64;
}

enum err base64url_decode(struct span text, struct buf *out)
{
	uint8_t *to;
	size_t at = 0;
	unsigned bits = 0, num_bits = 0;
	if (text.len % 4 == 1)
		return ERR_MALFORMED;
	RETURN_IF_ERR(buf_reserve(out, text.len / 4 * 3 + (text.len % 4 == 0 ? 0 : text.len % 4 - 1), &to));
	for (size_t i = 0; i < text.len; i++) {
		unsigned value = value_of(text.ptr[i]);
		if (value == 64)
			return ERR_MALFORMED;
		bits = (bits << 6 | value) & 0xffff;
		if ((num_bits += 6) >= 8)
			to[at++] = (uint8_t)(bits >> (num_bits -= 8));
	}
	if ((bits & ((1u << num_bits) - 1)) != 0)
		return ERR_MALFORMED;
	buf_commit(out, at);
	return ERR_NONE;
}
