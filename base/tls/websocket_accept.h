/* The proof that a server speaks the WebSocket protocol (RFC 6455 4.2.2): the header Sec-WebSocket-Accept to a
 * Sec-WebSocket-Key. Here for its SHA-1, which is no protection there. */
#pragma once

#include "base/core/buf.h"

#define WEBSOCKET_ACCEPT_LEN 28
enum err websocket_accept(const char *key, struct buf *out) _must_use_; /* appends; ERR_LIMIT */
