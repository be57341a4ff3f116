#include "base/http/http_answer.h"
#include "base/core/number.h"
#include <string.h>
#include <strings.h>

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct span trim(struct span text)
{
	while (text.len > 0 && is_space(text.ptr[0]))
		text = span_from(text, 1);
	while (text.len > 0 && is_space(text.ptr[text.len - 1]))
		text.len--;
	return text;
}

struct span http_answer_header(const struct http_answer *answer, const char *name)
{
	struct span rest = answer->head;
	size_t name_len = strlen(name);
	const uint8_t *end;
	while ((end = memmem(rest.ptr, rest.len, "\r\n", 2)) != NULL) {
		struct span line = span_of(rest.ptr, (size_t)(end - rest.ptr));
		rest = span_from(rest, line.len + 2);
		if (line.len > name_len && line.ptr[name_len] == ':' &&
			strncasecmp((const char *)line.ptr, name, name_len) == 0)
			return trim(span_from(line, name_len + 1));
	}
	return (struct span){0};
}

static bool read_number(struct span text, size_t *out)
{
	if (text.len == 0 || text.len > 10)
		return false;
	*out = number_take(&text, SIZE_MAX); /* 1*DIGIT, leading zeros too (RFC 9110 8.6) */
	return text.len == 0;
}

static bool ends_with(struct span text, struct span end)
{
	return text.len >= end.len && memcmp(text.ptr + text.len - end.len, end.ptr, end.len) == 0;
}

/* RFC 9112 6.3, less what a client that asks for one page does not meet. */
static enum err read_body(bool is_end, struct http_answer *answer)
{
	struct span length = http_answer_header(answer, "Content-Length"),
		    coding = http_answer_header(answer, "Transfer-Encoding");
	size_t len = 0;
	if (answer->status == 101 || answer->status == 204 || answer->status == 304)
		return ERR_NONE;
	if (coding.ptr != NULL)
		return is_end || ends_with(answer->body, SPAN_LITERAL("0\r\n\r\n")) ? ERR_NONE : ERR_UNAVAILABLE;
	if (length.ptr == NULL)
		return is_end ? ERR_NONE : ERR_UNAVAILABLE;
	if (!read_number(length, &len))
		return ERR_MALFORMED;
	if (answer->body.len < len)
		return is_end ? ERR_MALFORMED : ERR_UNAVAILABLE;
	answer->body.len = len;
	return ERR_NONE;
}

enum err http_answer_read(struct span bytes, bool is_end, struct http_answer *out)
{
	static const char first[] = "HTTP/1.1 ";
	size_t known = bytes.len < strlen(first) ? bytes.len : strlen(first), status = 0;
	if (known > 0 && memcmp(bytes.ptr, first, known) != 0)
		return ERR_MALFORMED;
	const uint8_t *end = bytes.len == 0 ? NULL : memmem(bytes.ptr, bytes.len, "\r\n\r\n", 4);
	if (end == NULL)
		return is_end ? ERR_MALFORMED : ERR_UNAVAILABLE;
	size_t head_len = (size_t)(end - bytes.ptr) + 4;
	if (head_len < strlen(first) + 3 || !read_number(span_of(bytes.ptr + strlen(first), 3), &status))
		return ERR_MALFORMED;
	struct http_answer answer = {(unsigned)status, span_of(bytes.ptr, head_len), span_from(bytes, head_len)};
	RETURN_IF_ERR(read_body(is_end, &answer));
	*out = answer;
	return ERR_NONE;
}
