/* Decimal numbers in texts from outside. A whole number has digits alone, no sign, no space, and no leading zero but in
 * "0": what one program reads as 8 and another as octal or not at all is refused, as JSON and JSON pointers do
 * (RFC 8259 6, RFC 6901 4). A grammar that allows more takes its digits with number_take(). */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"

/* ERR_MALFORMED: it is none; ERR_TOO_LARGE: it is above `max`. */
enum err number_parse(struct span text, uint64_t max, uint64_t *out) _must_use_;
enum err port_parse(struct span text, uint16_t *out) _must_use_; /* 1 to 65535, else ERR_MALFORMED */
/* Takes the digits at the start off *text, leading zeros too. Above `max`: `max`. No digit: 0, and *text as it was. */
uint64_t number_take(struct span *text, uint64_t max);
