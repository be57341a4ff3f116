/* A refusal by the control plane, from the text of its gRPC status. Pure. */
#pragma once

#include "base/core/err.h"

/* Splits a `message` that why_format() wrote; any other text becomes part of `got`. Returns err, with *why filled.
 */
enum err refusal_read(enum err err, const char *message, struct why *why);
