#include "base/core/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum err base64_encode(struct span bytes, struct buf *out)
{
	uint8_t *to;
	size_t len = (bytes.len + 2) / 3 * 4;
	RETURN_IF_ERR(buf_reserve(out, len, &to));
	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t left = bytes.len - i;
		unsigned bits = (unsigned)bytes.ptr[i] << 16 | (left > 1 ? (unsigned)bytes.ptr[i + 1] << 8 : 0) |
				(left > 2 ? bytes.ptr[i + 2] : 0);
		*to++ = (uint8_t)alphabet[bits >> 18];
		*to++ = (uint8_t)alphabet[bits >> 12 & 63];
		*to++ = (uint8_t)(left > 1 ? alphabet[bits >> 6 & 63] : '=');
		*to++ = (uint8_t)(left > 2 ? alphabet[bits & 63] : '=');
	}
	buf_commit(out, len);
	return ERR_NONE;
}

static int value_of(uint8_t byte)
{
	if (byte >= 'A' && byte <= 'Z')
		return byte - 'A';
	if (byte >= 'a' && byte <= 'z')
		return byte - 'a' + 26;
	if (byte >= '0' && byte <= '9')
		return byte - '0' + 52;
	if (byte == '+')
		return 62;
	return byte == '/' ? 63 : -1;
}

static bool is_space(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

enum err base64_decode(struct span text, struct buf *out)
{
	uint32_t bits = 0;
	unsigned num_digits = 0, num_pads = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (is_space(text.ptr[i]))
			continue;
		int value = value_of(text.ptr[i]);
		if (text.ptr[i] == '=')
			num_pads++;
		else if (value < 0 || num_pads > 0)
			return ERR_MALFORMED;
		if (text.ptr[i] == '=')
			continue;
		bits = bits << 6 | (uint32_t)value;
		num_digits++;
		if (num_digits % 4 == 0) {
			const uint8_t bytes[3] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
			RETURN_IF_ERR(buf_append(out, span_of(bytes, sizeof(bytes))));
		}
	}
	unsigned left = num_digits % 4;
	if ((left + num_pads) % 4 != 0 || num_pads > 2 || left == 1)
		return ERR_MALFORMED;
	const uint8_t last[2] = {(uint8_t)(bits >> (left == 2 ? 4 : 10)), (uint8_t)(bits >> 2)};
	return left == 0 ? ERR_NONE : buf_append(out, span_of(last, left - 1));
}
