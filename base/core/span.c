#include "base/core/span.h"

bool span_eq_constant_time(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	/* volatile: the compiler must not leave the loop at the first difference. */
	volatile uint8_t difference = 0;
	for (size_t i = 0; i < a.len; i++)
		difference = (uint8_t)(difference | (a.ptr[i] ^ b.ptr[i]));
	return difference == 0;
}
