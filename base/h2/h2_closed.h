/* What a connection remembers of streams that are gone, to distinguish HEADERS that the peer may have sent in good
 * faith (it had not read our reset) from those that it may not: after its own END_STREAM or RST_STREAM, or on a stream
 * that it has passed over (RFC 9113 5.1, 5.1.1). Pure, of fixed size; zeroed at the start. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { H2_CLOSED_KEPT = 8 };

struct h2_closed {
	int32_t ids[H2_CLOSED_KEPT]; /* closed last, by the peer's own END_STREAM or RST_STREAM; 0: none */
	bool was_reset[H2_CLOSED_KEPT];
	uint32_t next;
	int32_t last_request;                  /* highest id of a request; 0: none yet */
	int32_t passed_over_from, passed_over; /* the last ids that were passed over, first and last; 0: none */
};

/* Notes the id of the HEADERS of a request or of trailers. False: the peer has passed this stream over. */
bool h2_closed_request(struct h2_closed *closed, int32_t stream_id);
/* Notes a stream that the peer has ended or reset itself. */
void h2_closed_add(struct h2_closed *closed, int32_t stream_id, bool was_reset);

enum h2_closed_by { H2_CLOSED_UNKNOWN, H2_CLOSED_BY_END, H2_CLOSED_BY_RESET };
/* How the peer ended this stream. It is forgotten then: a flood on it is answered once. */
enum h2_closed_by h2_closed_take(struct h2_closed *closed, int32_t stream_id);
