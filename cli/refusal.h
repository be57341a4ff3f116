/* A refusal by the control plane, from the text of its gRPC status. Pure. */
#pragma once

#include "base/core/err.h"

/* Splits a `message` that why_format() wrote; any other text becomes part of `got`. Returns err, with *why filled.
 */
enum err refusal_read(enum err err, const char *message, struct why *why);

/* The same of the status UNIMPLEMENTED: its release lacks what was asked for. Returns ERR_REFUSED. */
enum err refusal_unimplemented(const char *message, struct why *why);
