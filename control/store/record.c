#include "control/store/record.h"
#include "base/core/hex.h"
#include "base/core/mem.h"
#include <inttypes.h>

enum err record_put(struct buf *record, const char *name, struct span value)
{
	if (value.len > 0 && (memchr(value.ptr, '\n', value.len) != NULL || memchr(value.ptr, 0, value.len) != NULL))
		return ERR_MALFORMED;
	if (buf_room(record) < strlen(name) + value.len + 2)
		return ERR_LIMIT;
	RETURN_IF_ERR(buf_append_str(record, name));
	RETURN_IF_ERR(buf_append_str(record, "="));
	RETURN_IF_ERR(buf_append(record, value));
	return buf_append_str(record, "\n");
}

enum err record_put_number(struct buf *record, const char *name, int64_t value)
{
	return buf_printf(record, "%s=%" PRId64 "\n", name, value);
}

enum err record_put_hex(struct buf *record, const char *name, struct span bytes)
{
	if (bytes.len > RECORD_HEX_MAX)
		return ERR_LIMIT;
	_cleanup_(mem_freep) char *digits = mem_alloc(2 * bytes.len + 1);
	hex_format(bytes, digits);
	return record_put(record, name, span_of_str(digits));
}

static bool line_has_name(struct span line, const char *name)
{
	size_t len = strlen(name);
	return line.len > len && memcmp(line.ptr, name, len) == 0 && line.ptr[len] == '=';
}

bool record_get(struct span record, const char *name, size_t n, struct span *out)
{
	while (record.len > 0) {
		const uint8_t *end = memchr(record.ptr, '\n', record.len);
		size_t line_len = end == NULL ? record.len : (size_t)(end - record.ptr);
		struct span line = span_of(record.ptr, line_len);
		if (line_has_name(line, name) && n-- == 0) {
			*out = span_from(line, strlen(name) + 1);
			return true;
		}
		record = span_from(record, end == NULL ? line_len : line_len + 1);
	}
	return false;
}

int64_t record_number(struct span record, const char *name, int64_t otherwise)
{
	struct span text;
	if (!record_get(record, name, 0, &text) || text.len == 0)
		return otherwise;
	bool is_negative = text.ptr[0] == '-';
	if (text.len - is_negative == 0 || text.len - is_negative > 19)
		return otherwise;
	int64_t value = 0;
	for (size_t i = is_negative; i < text.len; i++) {
		int digit = is_negative ? '0' - text.ptr[i] : text.ptr[i] - '0';
		if (text.ptr[i] < '0' || text.ptr[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, digit, &value))
			return otherwise;
	}
	return value;
}

bool record_hex(struct span record, const char *name, uint8_t *out, size_t len)
{
	struct span text;
	return record_get(record, name, 0, &text) && hex_parse(text, out, len);
}
