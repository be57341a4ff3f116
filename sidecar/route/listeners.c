#include "sidecar/route/listeners.h"
#include "base/core/check.h"

bool listeners_announce(const struct listeners *listeners, uint16_t port)
{
	CHECK(listeners->num_announced <= LISTENERS_MAX);
	for (size_t i = 0; i < listeners->num_announced; i++)
		if (listeners->announced[i] == port)
			return true;
	return false;
}

const struct inbound_listener *listeners_inbound(const struct listeners *listeners, uint16_t port)
{
	CHECK(listeners->num_inbound <= LISTENERS_MAX);
	for (size_t i = 0; i < listeners->num_inbound; i++)
		if (listeners->inbound[i].port == port)
			return &listeners->inbound[i];
	return NULL;
}
