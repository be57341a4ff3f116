#include "base/rpc/rpc_status.h"
#include "base/core/check.h"
#include "base/core/hex.h"
#include "base/core/number.h"
#include <stdio.h>

const char *rpc_status_name(enum rpc_status status)
{
	static const char *const names[] = {"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED",
		"NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
		"ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"};
	_Static_assert(sizeof(names) / sizeof(names[0]) == RPC_UNAUTHENTICATED + 1, "a name per status");
	return (unsigned)status < sizeof(names) / sizeof(names[0]) ? names[status] : "UNKNOWN";
}

enum err rpc_status_why(enum rpc_status status, const char *message, const struct why *otherwise, struct why *out)
{
	struct why theirs;
	if (message == NULL || message[0] == '\0')
		return why_set(out, otherwise->err, otherwise->expected, otherwise->fix, "%s: %s", otherwise->got,
			rpc_status_name(status));
	bool has_clauses = why_parse(message, otherwise->err, &theirs);
	return why_set(out, otherwise->err, has_clauses ? theirs.expected : otherwise->expected,
		has_clauses ? theirs.fix : otherwise->fix, "%s: %s: %s", otherwise->got, rpc_status_name(status),
		has_clauses ? theirs.got : message);
}

enum err rpc_status_parse(struct span text, enum rpc_status *out)
{
	if (text.len == 0 || text.len > 9) /* 1*DIGIT */
		return ERR_MALFORMED;
	uint64_t value = number_take(&text, UINT32_MAX);
	if (text.len > 0)
		return ERR_MALFORMED;
	*out = value <= RPC_UNAUTHENTICATED ? (enum rpc_status)value : RPC_UNKNOWN;
	return ERR_NONE;
}

enum rpc_status rpc_status_of_http(struct span http_status)
{
	static const struct {
		char text[4];
		enum rpc_status status;
	} map[] = {{"400", RPC_INTERNAL}, {"401", RPC_UNAUTHENTICATED}, {"403", RPC_PERMISSION_DENIED},
		{"404", RPC_UNIMPLEMENTED}, {"429", RPC_UNAVAILABLE}, {"502", RPC_UNAVAILABLE},
		{"503", RPC_UNAVAILABLE}, {"504", RPC_UNAVAILABLE}};
	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (span_eq(http_status, span_of_str(map[i].text)))
			return map[i].status;
	return RPC_UNKNOWN;
}

enum rpc_status rpc_status_of_h2_error(uint32_t error)
{
	switch (error) { /* RFC 9113 7 */
	case 7:          /* REFUSED_STREAM */
		return RPC_UNAVAILABLE;
	case 8: /* CANCEL */
		return RPC_CANCELLED;
	case 11: /* ENHANCE_YOUR_CALM */
		return RPC_RESOURCE_EXHAUSTED;
	case 12: /* INADEQUATE_SECURITY */
		return RPC_PERMISSION_DENIED;
	}
	return RPC_INTERNAL;
}

size_t rpc_message_encode(const char *text, char *out, size_t cap)
{
	CHECK(cap > 0);
	size_t len = 0;
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;
		bool is_plain = byte >= 0x20 && byte <= 0x7e && byte != '%';
		if (len + (is_plain ? 1 : 3) >= cap)
			break;
		if (is_plain) {
			out[len++] = (char)byte;
			continue;
		}
		out[len++] = '%';
		out[len++] = HEX_UPPER[byte >> 4];
		out[len++] = HEX_UPPER[byte & 15];
	}
	out[len] = '\0';
	return len;
}

/* Invalid escapes are copied unchanged, as the specification requires. A NUL becomes '?'. */
size_t rpc_message_decode(struct span text, char *out, size_t cap)
{
	CHECK(cap > 0);
	size_t len = 0;
	for (size_t i = 0; i < text.len && len + 1 < cap; i++) {
		uint8_t byte = text.ptr[i];
		if (byte == '%' && i + 2 < text.len) {
			int high = hex_value(text.ptr[i + 1]), low = hex_value(text.ptr[i + 2]);
			if (high >= 0 && low >= 0) {
				byte = (uint8_t)(high << 4 | low);
				i += 2;
			}
		}
		out[len++] = (char)(byte != 0 ? byte : '?');
	}
	out[len] = '\0';
	return len;
}
