/* A request to the far end: a header of 16 bytes in the byte order of the machine (both ends are on one), padded to
 * `request_len`; the answer is `response_len` arbitrary bytes. Requests may follow each other on a connection. */
#pragma once

#include <stdint.h>

struct request_header {
	uint64_t request_len; /* including this header */
	uint64_t response_len;
};

enum { REQUEST_LEN_MAX = 4096 };
