/* The CONNECT that opens a stream, and its answer, as header lists (HBONE; RFC 9113 8.5). Pure. */
#pragma once

#include "base/core/addr.h"
#include "base/h2/h2_session.h"

enum { CONNECT_HEADERS = 3, ANSWER_HEADERS = 2, REASON_MAX = 48 };

struct connect_request {
	struct addr authority; /* the address that the peer requests */
	struct addr forwarded; /* the address of its app, as the peer claims; family 0: absent */
};

struct connect_text { /* owns the text that the headers point into */
	char authority[ADDR_TEXT_MAX], forwarded[ADDR_TEXT_MAX + 8];
};
/* Returns how many of `out` are filled. */
size_t connect_request_encode(
	const struct connect_request *request, struct connect_text *text, struct h2_header out[CONNECT_HEADERS]);
/* ERR_MALFORMED: not a plain CONNECT with one well-formed address and port. */
enum err connect_request_parse(
	const struct h2_header *headers, size_t num_headers, struct connect_request *out, struct why *why) _must_use_;

struct connect_answer {
	unsigned status;         /* 0: no valid one */
	char reason[REASON_MAX]; /* handfast-reason, "" when absent; escaped */
};
void connect_answer_parse(const struct h2_header *headers, size_t num_headers, struct connect_answer *out);
/* `status_text`: owns the digits. `reason` may be NULL. */
size_t connect_answer_encode(
	unsigned status, const char *reason, char status_text[4], struct h2_header out[ANSWER_HEADERS]);
