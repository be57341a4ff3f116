/* What the kernel knows of the path of a TCP connection. Apart from socket.h, because <linux/tcp.h>, which has these
 * facts, and <netinet/tcp.h> exclude each other. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct tcp_path {
	uint64_t rate;       /* bytes per second that the other end acknowledged lately; 0: unknown */
	uint32_t unsent;     /* bytes that were written and not sent yet */
	uint32_t min_rtt_us; /* the shortest round trip of the last minutes: without what waits in queues; 0: unknown */
};
bool tcp_path_get(int fd, struct tcp_path *out);  /* false: not connected; *out is untouched */
void tcp_path_set_unsent(int fd, uint32_t bytes); /* writable again when less than half of it waits to be sent */
