/* Determines why a session failed, from the peer's alert, the verifier's error, the transport's error and BoringSSL's
 * error queue. */
#pragma once

#include "base/tls/session.h"

void session_failure_watch_alerts(SSL_CTX *ctx); /* records fatal alerts, sent or received, in their session */
/* Ends the session: fills its `detail` once. Returns IO_FAILED. */
enum io_result session_fail(struct tls_session *session);
/* After a write error (EPIPE, ECONNRESET) the peer may have sent an alert before: reads the remaining input for its
 * alert, then does the same as session_fail(). */
enum io_result session_fail_after_write(struct tls_session *session);
