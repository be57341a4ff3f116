#include "sidecar/report/port_use.h"

#include "base/core/mem.h"
#include <stdatomic.h>

enum { SEEN_MESH = 1, SEEN_PLAINTEXT = 2, NUM_PORTS = 65536 };

struct port_use {
	_Atomic uint8_t seen[NUM_PORTS];
};

struct port_use *port_use_new(void)
{
	return mem_new(struct port_use);
}

void port_use_free(struct port_use *use)
{
	mem_free(use);
}

void port_use_add(struct port_use *use, uint16_t port, bool encrypted)
{
	uint8_t bit = encrypted ? SEEN_MESH : SEEN_PLAINTEXT;
	/* Usually the bit is set already: not writing keeps the cache line shared. */
	if ((atomic_load_explicit(&use->seen[port], memory_order_relaxed) & bit) == 0)
		atomic_fetch_or_explicit(&use->seen[port], bit, memory_order_relaxed);
}

void port_use_each(const struct port_use *use, port_use_fn *each, void *arg)
{
	for (unsigned port = 0; port < NUM_PORTS; port++) {
		uint8_t seen = atomic_load_explicit(&use->seen[port], memory_order_relaxed);
		if (seen != 0)
			each(arg, (uint16_t)port, (seen & SEEN_MESH) != 0, (seen & SEEN_PLAINTEXT) != 0);
	}
}
