#include "base/core/check.h"
#include "base/http/http_head.h"
#include "test/fuzz/fuzz.h"

/* The first byte is the size of the pieces in which the rest arrives. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	if (len == 0)
		return 0;
	size_t piece = (size_t)bytes[0] + 1;
	struct http_head *head = http_head_new();
	enum http_head_result result = HTTP_HEAD_MORE;
	for (size_t at = 1; at < len && result == HTTP_HEAD_MORE; at += piece)
		result = http_head_feed(head, span_of(bytes + at, len - at < piece ? len - at : piece));
	if (result == HTTP_HEAD_BAD)
		CHECK(http_head_fault(head).status >= 400);
	if (result == HTTP_HEAD_OK)
		CHECK(http_head_path(head)[0] == '/' && http_head_query(head) != NULL);
	http_head_free(head);
	return 0;
}
