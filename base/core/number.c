#include "base/core/number.h"

/* How many digits `text` begins with. *out_number is `max` where they make more. */
static size_t scan(struct span text, uint64_t max, uint64_t *out_number, bool *out_is_above)
{
	const uint64_t tenth = max / 10, last = max % 10;
	size_t at = 0;
	*out_number = 0;
	*out_is_above = false;
	for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++) {
		uint64_t digit = text.ptr[at] - (uint64_t)'0';
		if (*out_number > tenth || (*out_number == tenth && digit > last))
			*out_is_above = true;
		*out_number = *out_is_above ? max : *out_number * 10 + digit;
	}
	return at;
}

enum err number_parse(struct span text, uint64_t max, uint64_t *out)
{
	uint64_t number;
	bool is_above;
	if (text.len == 0 || (text.len > 1 && text.ptr[0] == '0') || scan(text, max, &number, &is_above) < text.len)
		return ERR_MALFORMED;
	if (is_above)
		return ERR_TOO_LARGE;
	*out = number;
	return ERR_NONE;
}

enum err port_parse(struct span text, uint16_t *out)
{
	uint64_t port;
	if (number_parse(text, UINT16_MAX, &port) != ERR_NONE || port == 0)
		return ERR_MALFORMED;
	*out = (uint16_t)port;
	return ERR_NONE;
}

uint64_t number_take(struct span *text, uint64_t max)
{
	uint64_t number;
	bool is_above;
	*text = span_from(*text, scan(*text, max, &number, &is_above));
	return number;
}
