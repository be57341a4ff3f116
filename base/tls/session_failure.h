/* Why a session failed: the one place that weighs the peer's alert, the verifier's verdict, the transport's error and
 * the library's own complaint against each other. */
#pragma once

#include "base/tls/session.h"

void session_failure_watch_alerts(SSL_CTX *ctx); /* notes every fatal alert in its session, sent or received */
/* Ends the session: fills its why, once. Returns IO_FAILED. */
enum io_result session_fail(struct tls_session *session);
/* The kernel refused our bytes (EPIPE, ECONNRESET): the peer may have said why before it went. Reads what is left,
 * throws away all but its alert, then as session_fail(). */
enum io_result session_fail_after_write(struct tls_session *session);
