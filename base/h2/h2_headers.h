/* One header list on its way in: the fields nghttp2 has decoded, held by reference (a field that is repeated from the
 * HPACK table costs a reference, not a copy) and counted as RFC 9113 6.5.2 counts them, decoded. A connection has at
 * most one list under way, because nothing may stand between HEADERS and its CONTINUATIONs. */
#pragma once

#include "base/h2/h2_session.h"
#include <nghttp2/nghttp2.h>

#define H2_HEADERS_SEND_MAX 64 /* fields of a list that we send */

struct h2_headers { /* zeroed is empty */
	struct h2_header *items;
	struct nghttp2_rcbuf **refs; /* two an item */
	size_t num_items, cap_items;
	size_t decoded_len;
};

/* ERR_TOO_LARGE: the list is over max_bytes, and stays so until it is cleared. */
enum err h2_headers_add(
	struct h2_headers *headers, nghttp2_rcbuf *name, nghttp2_rcbuf *value, size_t max_bytes) _must_use_;
void h2_headers_clear(struct h2_headers *headers); /* gives its memory back */

/* For sending; borrowed from `headers`. num_headers <= H2_HEADERS_SEND_MAX. */
void h2_headers_to_nv(const struct h2_header *headers, size_t num_headers, nghttp2_nv out[H2_HEADERS_SEND_MAX]);
