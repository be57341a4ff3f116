#include "sidecar/tunnel/connect_request.h"
#include "base/core/check.h"
#include "base/core/escape.h"
#include "base/core/number.h"
#include <string.h>

static const char forwarded_open[] = "for=\"";

static bool is_named(const struct h2_header *header, const char *name)
{
	return span_eq(header->name, span_of_str(name));
}

size_t connect_request_encode(
	const struct connect_request *request, struct connect_text *text, struct h2_header out[CONNECT_HEADERS])
{
	addr_format(&request->authority, text->authority);
	out[0] = (struct h2_header){SPAN_LITERAL(":method"), SPAN_LITERAL("CONNECT")};
	out[1] = (struct h2_header){SPAN_LITERAL(":authority"), span_of_str(text->authority)};
	if (request->forwarded.ip.family == 0)
		return 2;
	size_t len = sizeof(forwarded_open) - 1;
	memcpy(text->forwarded, forwarded_open, len);
	addr_format(&request->forwarded, text->forwarded + len);
	len += strlen(text->forwarded + len);
	text->forwarded[len++] = '"';
	out[2] = (struct h2_header){SPAN_LITERAL("forwarded"), span_of(text->forwarded, len), .is_unique = true};
	return 3;
}

/* RFC 7239 6, the one form that sidecars send. Anything else counts as absent. */
static struct addr parse_forwarded(struct span value)
{
	struct addr addr = {0};
	size_t open_len = sizeof(forwarded_open) - 1;
	if (!span_starts_with(value, span_of(forwarded_open, open_len)))
		return addr;
	struct span rest = span_from(value, open_len);
	const uint8_t *close = memchr(rest.ptr, '"', rest.len);
	if (close == NULL || addr_parse(span_of(rest.ptr, (size_t)(close - rest.ptr)), &addr) != ERR_NONE)
		return (struct addr){0};
	return addr;
}

static enum err malformed(struct why *why, const char *got, struct span text)
{
	char shown[96];
	escape_ascii(text, shown, sizeof(shown));
	return why_set(why, ERR_MALFORMED, "CONNECT with one :authority of an IP address and a port",
		"find out which program the peer is: it does not use HBONE", "%s%s", got, shown);
}

enum err connect_request_parse(
	const struct h2_header *headers, size_t num_headers, struct connect_request *out, struct why *why)
{
	struct connect_request request = {0};
	struct span method = {0}, authority = {0};
	for (size_t i = 0; i < num_headers; i++) {
		const struct h2_header *header = &headers[i];
		if (is_named(header, ":method") && method.ptr == NULL)
			method = header->value;
		else if (is_named(header, ":authority") && authority.ptr == NULL)
			authority = header->value;
		else if (header->name.len > 0 && header->name.ptr[0] == ':')
			return malformed(why, "pseudo-header ", header->name);
		else if (is_named(header, "forwarded"))
			request.forwarded = parse_forwarded(header->value);
	}
	if (!span_eq(method, SPAN_LITERAL("CONNECT")))
		return malformed(why, "method ", method);
	if (addr_parse(authority, &request.authority) != ERR_NONE)
		return malformed(why, ":authority ", authority);
	*out = request;
	return ERR_NONE;
}

static unsigned parse_status(struct span text)
{
	uint64_t status;
	if (text.len != 3 || number_parse(text, 999, &status) != ERR_NONE)
		return 0;
	return status >= 100 ? (unsigned)status : 0; /* RFC 9110 15: three digits, the first from 1 */
}

void connect_answer_parse(const struct h2_header *headers, size_t num_headers, struct connect_answer *out)
{
	*out = (struct connect_answer){.status = parse_status(h2_headers_find(headers, num_headers, ":status"))};
	escape_ascii(h2_headers_find(headers, num_headers, "handfast-reason"), out->reason, sizeof(out->reason));
}

size_t connect_answer_encode(
	unsigned status, const char *reason, char status_text[4], struct h2_header out[ANSWER_HEADERS])
{
	CHECK(status >= 100 && status <= 999);
	for (size_t i = 3; i-- > 0; status /= 10)
		status_text[i] = (char)('0' + status % 10);
	status_text[3] = '\0';
	out[0] = (struct h2_header){SPAN_LITERAL(":status"), span_of(status_text, 3)};
	if (reason == NULL)
		return 1;
	out[1] = (struct h2_header){SPAN_LITERAL("handfast-reason"), span_of_str(reason)};
	return 2;
}
