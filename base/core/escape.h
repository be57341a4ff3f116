/* Text from outside, made safe to show: printable ASCII stays, every other byte becomes \xNN. So no peer can forge a
 * line of the log or drive a terminal. A backslash stays as it is: the result is for people, not for parsing back. */
#pragma once

#include "base/core/span.h"

/* Writes what fits whole into out[cap] (cap > 0), always terminated; returns the length without the NUL. */
size_t escape_ascii(struct span bytes, char *out, size_t cap);
