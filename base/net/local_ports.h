/* Which local ports a connect() may try. The kernel searches the whole range of ephemeral ports, which near its end
 * costs milliseconds per call and holds up everything else on the thread. From Linux 6.3 on (IP_LOCAL_PORT_RANGE) each
 * call gets a window of the range instead, and only a few windows are tried. Before 6.3 the kernel searches as ever. */
#pragma once

#include <stdint.h>

enum {
	LOCAL_PORTS_WINDOW = 128,
	LOCAL_PORTS_TRIES = 8, /* windows per connection */
	/* How far the window goes on after each connection, so that most of its ports rest for long: one that stays
	 * until it is full is searched from end to end. Odd, since the kernel tries every second port first. */
	LOCAL_PORTS_STEP = 5,
};

struct local_ports {          /* one per thread, the caller's storage; zeroed: the kernel searches the whole range */
	uint16_t first, last; /* the range; last 0: not known */
	uint16_t at;          /* where the present window begins */
};

/* The range as net.ipv4.ip_local_port_range has it in this network namespace, which holds for IPv6 too. `start`: where
 * in it to begin, any number. */
void local_ports_init(struct local_ports *ports, uint32_t start);
/* The present window as the kernel wants it: the upper bound in the upper 16 bits. 0: the whole range. */
uint32_t local_ports_window(const struct local_ports *ports);
void local_ports_step(struct local_ports *ports); /* a port of the present window was taken */
void local_ports_move(struct local_ports *ports); /* the present window is used up: the next one, in a ring */
