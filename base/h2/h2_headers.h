/* The header list that is being received: the fields that nghttp2 decoded, by reference (a field repeated from the
 * HPACK table costs a reference, not a copy), with their decoded size (RFC 9113 6.5.2). A connection receives one list
 * at a time, because no frame may come between HEADERS and its CONTINUATIONs. */
#pragma once

#include "base/h2/h2_session.h"
#include <nghttp2/nghttp2.h>

#define H2_HEADERS_SEND_MAX 64 /* fields of a sent list */

struct h2_headers { /* zeroed is empty */
	struct h2_header *items;
	struct nghttp2_rcbuf **refs; /* two per item */
	size_t num_items, cap_items;
	size_t decoded_len;
};

/* ERR_TOO_LARGE: the list exceeds max_bytes; further fields fail too until it is cleared. */
enum err h2_headers_add(
	struct h2_headers *headers, nghttp2_rcbuf *name, nghttp2_rcbuf *value, size_t max_bytes) _must_use_;
void h2_headers_clear(struct h2_headers *headers); /* frees the memory */

/* Converts for sending; *out borrows from `headers`. num_headers <= H2_HEADERS_SEND_MAX. */
void h2_headers_to_nv(const struct h2_header *headers, size_t num_headers, nghttp2_nv out[H2_HEADERS_SEND_MAX]);
