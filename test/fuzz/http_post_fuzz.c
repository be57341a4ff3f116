#include "base/core/check.h"
#include "base/http/http_post.h"
#include "test/fuzz/fuzz.h"

struct taken {
	struct http_post *post;
	size_t len;
};

static void on_body(void *arg, struct span bytes)
{
	struct taken *taken = arg;
	CHECK(http_post_path(taken->post)[0] == '/');
	taken->len += bytes.len;
}

/* The first byte is the size of the pieces in which the rest arrives. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	if (len == 0)
		return 0;
	size_t piece = (size_t)bytes[0] + 1;
	struct taken taken = {0};
	taken.post = http_post_new(on_body, &taken);
	enum http_post_result result = HTTP_POST_MORE;
	for (size_t at = 1; at < len && result == HTTP_POST_MORE; at += piece)
		result = http_post_feed(taken.post, span_of(bytes + at, len - at < piece ? len - at : piece));
	if (result == HTTP_POST_BAD)
		CHECK(http_post_fault(taken.post).status >= 400);
	if (result == HTTP_POST_COMPLETE)
		CHECK(http_post_path(taken.post) != NULL && taken.len < len);
	http_post_free(taken.post);
	return 0;
}
