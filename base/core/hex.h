/* Bytes as hexadecimal digits, and back. */
#pragma once

#include "base/core/span.h"

#define HEX_LOWER "0123456789abcdef"
#define HEX_UPPER "0123456789ABCDEF"

int hex_value(uint8_t digit);                               /* of a digit of either case; -1: it is none */
void hex_format(struct span bytes, char *out);              /* 2 * len lower-case digits and the NUL */
bool hex_parse(struct span text, uint8_t *out, size_t len); /* exactly 2 * len lower-case digits */
