/* Reports the steps of the mutual handshake as seven sentences, for display only. No cost unless tls_session_trace()
 * was called. */
#pragma once

#include "base/tls/session.h"

void trace_presented(
	struct tls_session *session, const struct span *chain, size_t num_chain); /* the peer's chain was received */
void trace_verified(struct tls_session *session, enum err verdict);
void trace_established(struct tls_session *session);
void trace_received(struct tls_session *session); /* application bytes */
void trace_sent(struct tls_session *session);
