/* Output of results. */
#pragma once

#include "base/core/date.h"
#include "base/core/span.h"
#include <jansson.h>
#include <stdint.h>

void show_time(int64_t ms, char out[DATE_TEXT_MAX]); /* "2026-01-02T03:04:05Z", "-" for 0 */
void show_hex(struct span bytes, char *out, size_t cap);
/* The fewest of 15, 16 and 17 digits that read back as the same number. */
int show_digits(double value);
/* To stdout, real numbers with the fewest digits that keep all of them; takes the reference. */
void show_json(json_t *object);
/* A line after a list that is cut, of `num` further rows ("join tokens"); nothing where num is 0. */
void show_left_out(uint64_t num, const char *rows);
/* A line on standard error: what was done may not be what was meant. */
void show_warning(const char *got, const char *expected, const char *fix);
/* Text of a message, which may originate from another host: escaped for terminals. Returns out. */
const char *show_bytes(struct span bytes, char *out, size_t cap);
/* The string at `key` of an object, "" when there is none, escaped for terminals. Returns out. */
const char *show_text(const json_t *object, const char *key, char *out, size_t cap);
long long show_number(const json_t *object, const char *key); /* the integer at `key`, 0 when there is none */
