/* One call to the control plane's operator socket, start to end. */
#pragma once

#include "base/core/buf.h"

#define CALL_ANSWER_MAX (16u * 1024 * 1024)

struct call_request {
	const char *socket; /* path of the Unix socket */
	const char *method; /* "TokenCreate" */
	struct span message;
};
/* ERR_UNAVAILABLE: nobody is there; ERR_DENIED: not allowed to us; ERR_REFUSED: told no; *why has the reason. */
enum err call_operator(const struct call_request *request, struct buf *out_answer, struct why *why) _must_use_;
