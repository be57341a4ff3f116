/* When to dial the control plane again, and the timeout of each try. Pure.
 *
 * Unreachable (no answer, connection refused, connection lost): again after 0.5 to 1 s, forever, so that the client
 * reconnects within 2 s after the control plane is back. Turned away (a connection that was accepted ends before its
 * handshake is done: the server has too many of them): from 0.5 to 1 s doubling to 4 to 8 s, so that thousands of
 * clients do not spend the server's time, which they wait for, on connections that are closed again; one that comes
 * later begins with the short waits, so it is not the last. Anything else starts that over. Refused (by the server, or
 * the server's certificate is wrong): full jitter, from 1 s doubling to 60 s. The server's retry-after overrides all,
 * up to a minute. A try times out after 1 s, because a packet that was lost is otherwise retransmitted only seconds
 * later; each fourth try in a row gets 5 s, so that a slow path still connects. A
 * control plane that has a client wait for its turn notifies it, and is waited for (control_link.c). Silent (an open
 * connection went dead without an end): the address may stand for several servers of which one hangs, and each try may
 * reach another, at random. So the next eight follow almost at once and time out after 0.1 s, the last ones after 0.3
 * s: of two servers one that hangs gets all of them once in 256 times, in at most 1.9 s. Not all clients notice a
 * silence in the same moment, as they do an end.
 *
 * What answers for a server that is gone, such as a balancer that accepts and closes, looks as if it turned away: a
 * sidecar behind one is back up to 8 s after its control plane, not 2 s. */
#pragma once

#include "base/core/backoff.h"
#include "base/core/err.h"
#include <stdbool.h>

enum redial_cause { REDIAL_UNREACHABLE, REDIAL_TURNED_AWAY, REDIAL_REFUSED, REDIAL_SILENT };

/* Of a connection that ended; was_up: after its handshake. */
enum redial_cause redial_cause_of(enum err err, bool was_up, bool failed_by_peer);

struct redial {
	struct backoff backoff;
	unsigned num_failed;      /* in a row */
	unsigned num_turned_away; /* in a row */
	unsigned num_quick;       /* tries that are left of the eight after a silence */
};

void redial_init(struct redial *redial);
/* The wait before the next try. */
uint32_t redial_failed_ms(struct redial *redial, enum redial_cause cause, uint32_t retry_after_ms, uint32_t random);
void redial_succeeded(struct redial *redial);
uint32_t redial_timeout_ms(const struct redial *redial); /* of the next try */
