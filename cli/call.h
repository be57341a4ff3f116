/* One call to the control plane's operator socket, start to end. */
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

/* Calls /handfast.v1.Operator/METHOD at --socket. request NULL: an empty one. ERR_UNAVAILABLE: no control plane is
 * there; ERR_DENIED: not allowed to us; ERR_REFUSED: it refuses. */
enum err call(const struct command_line *line, const char *method, const ProtobufCMessage *request,
	const ProtobufCMessageDescriptor *type, struct answer *out) _must_use_;
