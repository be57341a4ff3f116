/* The header of the PROXY protocol, version 2, by which a workload learns its caller's address and identity. Pure. */
#pragma once

#include "base/core/addr.h"
#include <stddef.h>

enum { PROXY_HEADER_MAX = 16 + 36 + 3 + 2048 }; /* an SPIFFE ID has at most 2,048 bytes (SPIFFE-ID 2.3) */

/* `source` called `destination`, both of one family. `id`: the caller's SPIFFE ID, in a TLV of type 0xD0 as text; NULL:
 * none. Returns the length. */
size_t proxy_header_encode(
	const struct addr *source, const struct addr *destination, const char *id, uint8_t out[PROXY_HEADER_MAX]);
