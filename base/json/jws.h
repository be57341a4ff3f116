/* The parts of a token: compact JWS (RFC 7515 7.1). Stricter than RFC 7519 (W13): no part is empty, base64url has one
 * spelling, JSON objects have no doubled keys and nothing behind them. Nothing is verified here. Pure. */
#pragma once

#include "base/core/span.h"
#include <jansson.h>
#include <stdbool.h>

struct jws {                                    /* borrowed from the token */
	struct span header, payload, signature; /* base64url */
	struct span signed_part;                /* header and payload with the dot between, as they were sent */
};
/* False: not exactly three parts. */
bool jws_split(struct span token, struct jws *out);
/* The object in a part of at most `max` bytes when decoded; the caller releases it. NULL: it is none. */
json_t *jws_object(struct span part, size_t max);
