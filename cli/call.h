/* One call to the control plane, from connect to close: over the operator's socket of this machine, or by a port that
 * the API server of a cluster forwards. */
#pragma once

#include "base/pb/unpack.h"
#include "base/settings/command_line/command_line.h"

struct answer { /* zeroed is valid to answer_done() */
	ProtobufCMessage *message;
	struct why detail; /* of a failure */
	struct pb_arena *arena;
	struct buf bytes;
	char *replica; /* the pod that was asked last; NULL: the control plane of this machine */
};
void answer_done(struct answer *answer);

/* Calls /handfast.v1.Operator/METHOD. Of a cluster with --cluster, --kubeconfig or --control-namespace, or where this
 * machine has no socket and there is a kubeconfig; else at --socket. request NULL: an empty one. ERR_UNAVAILABLE: no
 * control plane answers; ERR_NOT_FOUND: the cluster has none; ERR_DENIED: no permission for the socket, or in the
 * cluster; ERR_REFUSED: the control plane refused. */
enum err call(const struct command_line *line, const char *method, const ProtobufCMessage *request,
	const ProtobufCMessageDescriptor *type, struct answer *out) _must_use_;

/* The values of a flag that may be given several times. More of them than there is room for are an error of the line's.
 */
#define COMMAND_VALUES_MAX 16
size_t command_values(struct command_line *line, const char *name, ProtobufCBinaryData out[COMMAND_VALUES_MAX]);
