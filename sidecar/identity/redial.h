/* When to dial the control plane again, and how long to try. Pure.
 *
 * Away (no answer, refused, cut): again after 0.5 to 1 s, for ever, so that a return is noticed within 2 s. Said no
 * (a definite refusal, or a server that is not who it must be): full jitter, 1 s doubling to 60 s. The server's
 * retry-after stands above both. A try is given up after 1 s, since a packet lost to a server that was away would
 * otherwise be sent again only seconds later; each fourth try in a row gets 5 s, so that a slow path still gets
 * through. */
#pragma once

#include "base/core/backoff.h"

enum redial_cause { REDIAL_AWAY, REDIAL_SAID_NO };

struct redial {
	struct backoff backoff;
	unsigned num_failed; /* in a row */
};

void redial_init(struct redial *redial);
/* How long to wait before the next try. */
uint32_t redial_failed_ms(struct redial *redial, enum redial_cause cause, uint32_t retry_after_ms, uint32_t random);
void redial_succeeded(struct redial *redial);
uint32_t redial_patience_ms(const struct redial *redial); /* of the try that is to begin */
