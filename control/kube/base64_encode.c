#include "control/kube/base64_encode.h"

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
