/* Dates as text: RFC 3339 in UTC. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DATE_TEXT_MAX 32

/* "2026-01-02T03:04:05Z"; the number itself where the calendar has no such second. Returns out. */
const char *date_format(int64_t seconds, char out[DATE_TEXT_MAX]);
/* "2026-01-02T03:04:05.678Z". */
const char *date_format_ms(int64_t milliseconds, char out[DATE_TEXT_MAX]);
/* Of "2026-01-02T03:04:05Z", and of nothing else. */
bool date_parse(const char *text, int64_t *out_seconds);
