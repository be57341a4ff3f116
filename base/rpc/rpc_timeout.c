#include "base/rpc/rpc_timeout.h"
#include "base/core/check.h"
#include "base/core/number.h"
#include <stdio.h>

enum { MAX_DIGITS = 8 };
_Static_assert(RPC_TIMEOUT_TEXT_MAX >= MAX_DIGITS + 2, "the digits, the unit and a NUL");

static uint64_t unit_ns(uint8_t unit)
{
	switch (unit) {
	case 'H':
		return 3600ull * 1000000000;
	case 'M':
		return 60ull * 1000000000;
	case 'S':
		return 1000000000;
	case 'm':
		return 1000000;
	case 'u':
		return 1000;
	case 'n':
		return 1;
	}
	return 0;
}

enum err rpc_timeout_parse(struct span text, uint32_t *out_ms)
{
	if (text.len < 2 || text.len > MAX_DIGITS + 1)
		return ERR_MALFORMED;
	uint64_t unit = unit_ns(text.ptr[text.len - 1]);
	if (unit == 0)
		return ERR_MALFORMED;
	struct span digits = span_of(text.ptr, text.len - 1);
	uint64_t value = number_take(&digits, UINT64_MAX);
	if (digits.len > 0)
		return ERR_MALFORMED;
	if (value > UINT64_MAX / unit - 1000000) { /* 99999999H in nanoseconds exceeds 64 bits */
		*out_ms = UINT32_MAX;
		return ERR_NONE;
	}
	uint64_t ms = (value * unit + 999999) / 1000000;
	*out_ms = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
	return ERR_NONE;
}

const char *rpc_timeout_format(uint32_t ms, char out[RPC_TIMEOUT_TEXT_MAX])
{
	if (ms <= 99999999)
		(void)snprintf(out, RPC_TIMEOUT_TEXT_MAX, "%um", ms);
	else
		(void)snprintf(out, RPC_TIMEOUT_TEXT_MAX, "%uS", ms / 1000);
	return out;
}
