/* Bounds the search for a local port in connect(). The kernel searches the whole range of ephemeral ports, which costs
 * milliseconds per call when the range is almost full and blocks the thread. From Linux 6.3 on (IP_LOCAL_PORT_RANGE)
 * each call gets a window of the range, and only a few windows are tried. Before 6.3 the search is unbounded. */
#pragma once

#include <stdint.h>

enum {
	LOCAL_PORTS_WINDOW = 128,
	LOCAL_PORTS_TRIES = 8, /* windows per connection */
	/* How far the window moves after each connection, so that most of its ports stay free: a full window would be
	 * searched completely. Odd, because the kernel tries every second port first. */
	LOCAL_PORTS_STEP = 5,
};

struct local_ports {          /* one per thread; zeroed: the whole range */
	uint16_t first, last; /* the range; last 0: unknown */
	uint16_t at;          /* begin of the current window */
};

/* Reads the range from net.ipv4.ip_local_port_range of this network namespace, which applies to IPv6 too. `start`: any
 * number; selects the first window. */
void local_ports_init(struct local_ports *ports, uint32_t start);
/* The current window in the kernel's format: upper bound in the upper 16 bits. 0: the whole range. */
uint32_t local_ports_window(const struct local_ports *ports);
void local_ports_step(struct local_ports *ports); /* a port of the present window was taken */
void local_ports_move(struct local_ports *ports); /* the present window is used up: the next one, in a ring */
