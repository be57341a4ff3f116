/* ALPN (RFC 7301), mandatory on both sides: bytes meant for another protocol must never reach ours (abuse case D31). */
#pragma once

#include "base/tls/context.h"
#include "base/tls/session.h"

void application_protocol_set(struct tls_context *context, const char *name);
/* A client's check, once the server's extensions are known: did it choose ours? */
bool application_protocol_is_agreed(struct tls_session *session);
