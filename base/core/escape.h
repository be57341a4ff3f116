/* Escapes untrusted text for display: printable ASCII stays, every other byte becomes \xNN, so no peer can forge a log
 * line or send control sequences to a terminal. Backslashes are not escaped: the result is not meant to be parsed. */
#pragma once

#include "base/core/span.h"

/* Writes as many whole escapes as fit into out[cap] (cap > 0), always terminated; a text that is cut ends in "...", for
 * it would read as if it were complete. Returns the length without the NUL. */
size_t escape_ascii(struct span bytes, char *out, size_t cap);
