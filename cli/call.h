/* One call over the control plane's operator socket, from connect to close. */
#pragma once

#include "base/pb/unpack.h"
#include "base/settings/command_line/command_line.h"

struct answer { /* zeroed is valid to answer_done() */
	ProtobufCMessage *message;
	struct why detail; /* of a failure */
	struct pb_arena *arena;
	struct buf bytes;
};
void answer_done(struct answer *answer);

/* Calls /handfast.v1.Operator/METHOD at --socket. request NULL: an empty one. ERR_UNAVAILABLE: no control plane
 * listens there; ERR_DENIED: no permission for the socket; ERR_REFUSED: the control plane refused. */
enum err call(const struct command_line *line, const char *method, const ProtobufCMessage *request,
	const ProtobufCMessageDescriptor *type, struct answer *out) _must_use_;
