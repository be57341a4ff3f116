/* Times of HTTP (RFC 9110 5.6.7), in the form that is written today: "Sun, 06 Nov 1994 08:49:37 GMT". Pure. */
#pragma once

#include "base/core/cleanup.h"
#include "base/core/span.h"

#define HTTP_DATE_TEXT 30 /* with its end */

void http_date_format(int64_t s, char out[HTTP_DATE_TEXT]);      /* seconds since 1970, up to the year 9999 */
bool http_date_parse(struct span text, int64_t *out) _must_use_; /* another form: false */
