/* How a result is shown. */
#pragma once

#include "base/core/span.h"
#include <jansson.h>
#include <stdint.h>

void show_time(int64_t ms, char out[32]); /* "2026-01-02T03:04:05Z", "-" for 0 */
void show_hex(struct span bytes, char *out, size_t cap);
void show_json(json_t *object); /* on stdout; takes the reference */
/* The text at `key` of an object, "" when there is none, made safe for a terminal. Returns out. */
const char *show_text(const json_t *object, const char *key, char *out, size_t cap);
