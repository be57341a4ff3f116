/* Messages of the WebSocket protocol (RFC 6455 5), the client's side. No extensions; pure. */
#pragma once

#include "base/core/buf.h"

#define WEBSOCKET_MESSAGE_MAX (1024 * 1024) /* bytes; bounds memory */

enum websocket_opcode { /* RFC 6455 11.8 */
	WEBSOCKET_CONTINUATION = 0,
	WEBSOCKET_TEXT = 1,
	WEBSOCKET_BINARY = 2,
	WEBSOCKET_CLOSE = 8,
	WEBSOCKET_PING = 9,
	WEBSOCKET_PONG = 10,
};

struct websocket { /* begin with websocket_init() */
	struct buf in, message;
	enum websocket_opcode opcode; /* of the message whose frames come; CONTINUATION: none */
};

void websocket_init(struct websocket *websocket);
void websocket_done(struct websocket *websocket);

/* A whole message, TEXT or BINARY, or a PING, which wants a PONG of the same bytes. Borrowed during the call. */
typedef void websocket_message_fn(void *arg, enum websocket_opcode opcode, struct span bytes);
/* ERR_CLOSED: the server has closed, with its reason in *why; ERR_PROTOCOL, ERR_TOO_LARGE. Nothing is fed after one. */
enum err websocket_feed(struct websocket *websocket, struct span bytes, websocket_message_fn *on_message, void *arg,
	struct why *why) _must_use_;

/* Appends one frame with the whole message. mask: random, 4 bytes (RFC 6455 5.3). ERR_LIMIT: no room. */
enum err websocket_put(
	enum websocket_opcode opcode, struct span message, const uint8_t mask[4], struct buf *out) _must_use_;
