/* A refusal of the control plane, out of the text of its status. Pure. */
#pragma once

#include "base/core/err.h"

/* `message` is what why_format() wrote there, "expected ..., got ...; fix", and is taken apart again; any other text
 * becomes what was got. Returns err, with *why filled. */
enum err refusal_read(enum err err, const char *message, struct why *why);
