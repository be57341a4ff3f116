/* When to dial the control plane again, and the timeout of each try. Pure.
 *
 * Unreachable (no answer, connection refused, connection lost): again after 0.5 to 1 s, forever, so that the client
 * reconnects within 2 s after the control plane is back. Refused (by the server, or the server's certificate is wrong):
 * full jitter, from 1 s doubling to 60 s. The server's retry-after overrides both. A try times out after 1 s, because a
 * packet that was lost is otherwise retransmitted only seconds later; each fourth try in a row gets 5 s, so that a slow
 * path still connects.
 * Silent (an open connection went dead without an end): the address may stand for several servers of which one hangs,
 * and each try may reach another. So the next three follow almost at once and time out after 0.3 s. Not all clients
 * notice a silence in the same moment, as they do an end. */
#pragma once

#include "base/core/backoff.h"

enum redial_cause { REDIAL_UNREACHABLE, REDIAL_REFUSED, REDIAL_SILENT };

struct redial {
	struct backoff backoff;
	unsigned num_failed; /* in a row */
	unsigned num_quick;  /* tries that are left of the three after a silence */
};

void redial_init(struct redial *redial);
/* The wait before the next try. */
uint32_t redial_failed_ms(struct redial *redial, enum redial_cause cause, uint32_t retry_after_ms, uint32_t random);
void redial_succeeded(struct redial *redial);
uint32_t redial_timeout_ms(const struct redial *redial); /* of the next try */
