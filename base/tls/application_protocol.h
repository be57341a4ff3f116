/* ALPN (RFC 7301), mandatory on both sides: bytes of another protocol must not be interpreted (abuse case
 * D31). */
#pragma once

#include "base/tls/context.h"
#include "base/tls/session.h"

void application_protocol_set(struct tls_context *context, const char *name);
/* tls_session_options.alpn_sign, a literal */
void application_protocol_add_sign(struct tls_session *session, const struct tls_context *context, const char *sign);
/* Client: whether the server selected the protocol; once its extensions were received. */
bool application_protocol_is_agreed(struct tls_session *session);
