/* Output of results. */
#pragma once

#include "base/core/span.h"
#include <jansson.h>
#include <stdint.h>

void show_time(int64_t ms, char out[32]); /* "2026-01-02T03:04:05Z", "-" for 0 */
void show_hex(struct span bytes, char *out, size_t cap);
void show_json(json_t *object); /* to stdout; takes the reference */
/* The string at `key` of an object, "" when there is none, escaped for terminals. Returns out. */
const char *show_text(const json_t *object, const char *key, char *out, size_t cap);
