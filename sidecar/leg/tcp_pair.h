/* For tests: two ends of a real TCP connection over loopback, non-blocking. */
#pragma once

#include "base/core/addr.h"

struct tcp_pair {
	int near, far; /* the caller closes them, or hands them over */
	struct addr near_addr, far_addr;
};

void tcp_pair_open(struct tcp_pair *pair);
/* A listening socket on 127.0.0.1 with a port of the kernel's choice. */
int tcp_listen_any(struct addr *out_at);
/* Returns when all that this thread sent before over loopback, bytes as well as ends and resets, has arrived. */
void loopback_settle(void);
/* Some real time, in which the kernel sends again what a full queue of loopback lost, or paces: a loop that moves a
 * fake clock on with each round calls this when a round moved nothing, lest seconds of that clock pass in milliseconds.
 */
void loopback_wait(void);
/* Sends RST. */
void tcp_abort(int fd);
