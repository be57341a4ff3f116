#include "base/core/check.h"
#include "sidecar/tunnel/connect_request.h"
#include "test/fuzz/fuzz.h"
#include <string.h>

/* Lines of "name value": a header list as HTTP/2 delivers it, names and values of any bytes. */
static size_t read_headers(struct span bytes, struct h2_header *out, size_t max)
{
	size_t num = 0;
	while (bytes.len > 0 && num < max) {
		const uint8_t *end = memchr(bytes.ptr, '\n', bytes.len);
		size_t len = end != NULL ? (size_t)(end - bytes.ptr) : bytes.len;
		const uint8_t *space = len > 0 ? memchr(bytes.ptr, ' ', len) : NULL;
		size_t name_len = space != NULL ? (size_t)(space - bytes.ptr) : len;
		out[num].name = span_of(bytes.ptr, name_len);
		out[num++].value = space != NULL ? span_of(space + 1, len - name_len - 1) : span_of(bytes.ptr + len, 0);
		bytes = span_from(bytes, end != NULL ? len + 1 : len);
	}
	return num;
}

/* An accepted request means the same when it is encoded again. */
static void check_round_trip(const struct connect_request *request)
{
	struct connect_text text;
	struct h2_header headers[CONNECT_HEADERS];
	struct connect_request again;
	CHECK(request->authority.port != 0);
	size_t num = connect_request_encode(request, &text, headers);
	CHECK(num <= CONNECT_HEADERS && connect_request_parse(headers, num, &again, NULL) == ERR_NONE);
	CHECK(addr_eq(&again.authority, &request->authority) && addr_eq(&again.forwarded, &request->forwarded));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct h2_header headers[16];
	struct connect_request request = {0};
	struct connect_answer answer;
	struct why why = {0};
	size_t num = read_headers(span_of(bytes, len), headers, 16);
	enum err err = connect_request_parse(headers, num, &request, &why);
	CHECK(err == why.err && (err == ERR_NONE || err == ERR_MALFORMED));
	if (err == ERR_NONE)
		check_round_trip(&request);
	connect_answer_parse(headers, num, &answer);
	CHECK(answer.status == 0 || (answer.status >= 100 && answer.status <= 999));
	CHECK(strnlen(answer.reason, REASON_MAX) < REASON_MAX);
	for (const char *at = answer.reason; *at != 0; at++)
		CHECK(*at >= 0x20 && *at < 0x7f); /* safe for a log */
	return 0;
}
