#include "base/core/hex.h"

int hex_value(uint8_t digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

void hex_format(struct span bytes, char *out)
{
	for (size_t i = 0; i < bytes.len; i++) {
		*out++ = HEX_LOWER[bytes.ptr[i] >> 4];
		*out++ = HEX_LOWER[bytes.ptr[i] & 15];
	}
	*out = '\0';
}

static bool is_lower(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (hex_value(text.ptr[i]) < 0 || (text.ptr[i] >= 'A' && text.ptr[i] <= 'F'))
			return false;
	return true;
}

bool hex_parse(struct span text, uint8_t *out, size_t len)
{
	if (text.len != 2 * len || !is_lower(text))
		return false;
	for (size_t i = 0; i < len; i++)
		out[i] =
			(uint8_t)((unsigned)hex_value(text.ptr[2 * i]) << 4 | (unsigned)hex_value(text.ptr[2 * i + 1]));
	return true;
}
