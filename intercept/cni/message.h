/* What the plugin asks its node's agent, over a Unix socket: one line of JSON each way. With the first byte of the
 * question comes the network namespace of the pod, as a descriptor (unix(7), SCM_RIGHTS): the two have different
 * mounts, and a path could mean another namespace by the time it is opened. */
#pragma once

#include "base/core/buf.h"
#include "intercept/cni/cni_request.h"

#define MESSAGE_MAX 4096 /* bytes of a line, its end included */

struct message_question {
	bool checks; /* CHECK; else ADD */
	struct cni_pod pod;
};

enum message_verdict {
	MESSAGE_DONE,   /* the rules are in place */
	MESSAGE_PASSED, /* the pod has no sidecar that needs rules */
	MESSAGE_LATER,  /* the agent does not know yet */
	MESSAGE_FAILED,
};

struct message_answer {
	enum message_verdict verdict;
	struct why detail; /* MESSAGE_LATER, MESSAGE_FAILED */
};

/* --- pure; a line includes its end --- */
enum err message_question_put(const struct message_question *question, struct buf *out) _must_use_;
enum err message_question_parse(struct span line, struct message_question *out) _must_use_;
enum err message_answer_put(const struct message_answer *answer, struct buf *out) _must_use_;
enum err message_answer_parse(struct span line, struct message_answer *out) _must_use_;

/* --- on a socket --- */
/* `with_fd`: passed along, and not closed; -1: none. A line is smaller than the socket's buffer, so that it is sent
 * whole or not at all. */
enum err message_send(int fd, struct span line, int with_fd) _must_use_;
/* Appends what has come. *out_fd: a descriptor that came with it; the caller's; unchanged when none came. A second one
 * is closed. ERR_UNAVAILABLE: nothing now. ERR_CLOSED: the end. ERR_LIMIT: `in` is full. */
enum err message_receive(int fd, struct buf *in, int *out_fd) _must_use_;
