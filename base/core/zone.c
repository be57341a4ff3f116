#include "base/core/zone.h"

uint32_t zone_of(struct span name)
{
	uint32_t hash = 2166136261U;
	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ name.ptr[i]) * 16777619U;
	if (name.len == 0)
		return 0;
	return hash == 0 ? 1 : hash;
}
