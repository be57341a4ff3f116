#include "base/core/escape.h"
#include "base/core/check.h"
#include "base/core/hex.h"

static bool is_printable(uint8_t byte)
{
	return byte >= 0x20 && byte < 0x7f;
}

static const char cut_mark[] = "...";

/* In place of what follows `whole`, the last end of an escape that leaves room for it. */
static size_t mark_cut(char *out, size_t whole, size_t cap)
{
	size_t room = cap - 1 - whole;
	size_t len = room < sizeof cut_mark - 1 ? room : sizeof cut_mark - 1;
	memcpy(out + whole, cut_mark, len);
	out[whole + len] = '\0';
	return whole + len;
}

size_t escape_ascii(struct span bytes, char *out, size_t cap)
{
	CHECK(cap > 0);
	size_t len = 0, whole = 0;
	for (size_t i = 0; i < bytes.len; i++) {
		uint8_t byte = bytes.ptr[i];
		size_t needed = is_printable(byte) ? 1 : 4;
		if (cap - 1 - len >= sizeof cut_mark - 1)
			whole = len;
		if (cap - 1 - len < needed)
			return mark_cut(out, whole, cap);
		if (needed == 1) {
			out[len] = (char)byte;
		} else {
			out[len] = '\\';
			out[len + 1] = 'x';
			out[len + 2] = HEX_LOWER[byte >> 4];
			out[len + 3] = HEX_LOWER[byte & 15];
		}
		len += needed;
	}
	out[len] = '\0';
	return len;
}
