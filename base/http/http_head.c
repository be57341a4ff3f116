#include "base/http/http_head.h"

#include "base/core/addr.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <http_parser.h>
#include <strings.h>

enum { HOST_MAX = 256, FIELD_MAX = 32, AUTHORIZATION_MAX = 512, CODING_MAX = 32 };

enum kept { HOST, AUTHORIZATION, TRANSFER_ENCODING, NUM_KEPT };
/* The fields that count. Two of one are two answers to one question, of which proxies may read the other one. */
static const struct {
	const char *name, *repeated, *too_long;
} kept[NUM_KEPT] = {
	[HOST] = {"host", "more than one Host", "the Host is too long"},
	[AUTHORIZATION] = {"authorization", "more than one Authorization", "the Authorization is too long"},
	[TRANSFER_ENCODING] = {"transfer-encoding", "more than one Transfer-Encoding",
		"the Transfer-Encoding is not known"},
};

struct http_head {
	http_parser parser;
	struct buf url, field, values[NUM_KEPT]; /* the parser delivers texts in pieces */
	size_t num_bytes;
	unsigned num_values[NUM_KEPT];
	char last_byte; /* of the bytes before */
	bool in_value, is_complete, takes_any_host, takes_names, has_name;
	const char *query;
	struct http_fault fault;
};

struct http_head *http_head_new(void)
{
	struct http_head *head = mem_new(struct http_head);
	http_parser_init(&head->parser, HTTP_REQUEST);
	head->parser.data = head;
	head->url = BUF_INIT(HTTP_PATH_MAX);
	head->field = BUF_INIT(FIELD_MAX);
	head->values[HOST] = BUF_INIT(HOST_MAX);
	head->values[AUTHORIZATION] = BUF_INIT_SECRET(AUTHORIZATION_MAX);
	head->values[TRANSFER_ENCODING] = BUF_INIT(CODING_MAX);
	head->query = "";
	return head;
}

struct http_head *http_head_new_with_names(void)
{
	struct http_head *head = http_head_new();
	head->takes_names = true;
	return head;
}

struct http_head *http_head_new_any_host(void)
{
	struct http_head *head = http_head_new();
	head->takes_any_host = true;
	return head;
}

void http_head_free(struct http_head *head)
{
	if (head == NULL)
		return;
	buf_done(&head->url);
	buf_done(&head->field);
	for (int i = 0; i < NUM_KEPT; i++)
		buf_done(&head->values[i]);
	mem_free(head);
}

/* Stores the first fault. The return value stops the parser in any callback. */
static int refuse(struct http_head *head, unsigned status, const char *text)
{
	if (head->fault.status == 0)
		head->fault = (struct http_fault){.status = status, .text = text};
	return -1;
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
	struct http_head *head = parser->data;
	if (buf_append(&head->url, span_of(at, len)) != ERR_NONE)
		return refuse(head, 414, "the path is too long"); /* RFC 9112 3 */
	return 0;
}

static int add_value(struct http_head *head, enum kept which, bool is_first, struct span piece)
{
	if (is_first && ++head->num_values[which] > 1)
		return refuse(head, 400, kept[which].repeated);
	if (buf_append(&head->values[which], piece) != ERR_NONE)
		return refuse(head, 400, kept[which].too_long);
	return 0;
}

static int on_field(http_parser *parser, const char *at, size_t len)
{
	struct http_head *head = parser->data;
	if (head->in_value)
		buf_clear(&head->field);
	head->in_value = false;
	if (memchr(at, ' ', len) != NULL) /* RFC 9112 5.1: not before the colon either; the parser lets it pass */
		return refuse(head, 400, "a space in the name of a field");
	/* Longer field names are cut: they match none of those that are used. */
	struct span piece = span_of(at, len < buf_room(&head->field) ? len : buf_room(&head->field));
	CHECK(buf_append(&head->field, piece) == ERR_NONE);
	return 0;
}

static int on_value(http_parser *parser, const char *at, size_t len)
{
	struct http_head *head = parser->data;
	bool is_first = !head->in_value;
	head->in_value = true;
	for (int i = 0; i < NUM_KEPT; i++)
		if (strcasecmp(buf_cstr(&head->field), kept[i].name) == 0)
			return add_value(head, (enum kept)i, is_first, span_of(at, len));
	return 0;
}

/* RFC 9112 3.2.2: a target "http://HOST/PATH" is taken, and its host counts in place of the field's. What is left of it
 * is the path. */
static int take_absolute_form(struct http_head *head, struct span *out_host)
{
	struct span target = buf_span(&head->url);
	size_t scheme = strncasecmp(buf_cstr(&head->url), "http://", 7) == 0    ? 7
			: strncasecmp(buf_cstr(&head->url), "https://", 8) == 0 ? 8
										: 0;
	struct span rest = span_from(target, scheme);
	const char *slash = scheme == 0 ? NULL : memchr(rest.ptr, '/', rest.len);
	if (slash == NULL)
		return refuse(head, 400, "the request has no path");
	*out_host = span_of(rest.ptr, (size_t)(slash - (const char *)rest.ptr));
	return 0;
}

static bool is_port(struct span port)
{
	if (port.len < 1 || port.len > 5)
		return false;
	for (size_t i = 0; i < port.len; i++)
		if (port.ptr[i] < '0' || port.ptr[i] > '9')
			return false;
	return true;
}

static bool is_in_names(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
	       byte == '-' || byte == '_' || byte == '.';
}

/* A DNS name, with or without a port. */
static bool is_name(struct span host)
{
	size_t len = 0;
	while (len < host.len && is_in_names((char)host.ptr[len]))
		len++;
	if (len == 0 || host.ptr[0] == '.')
		return false;
	return len == host.len || (host.ptr[len] == ':' && is_port(span_from(host, len + 1)));
}

/* A browser always names a Host; health checks of HTTP/1.0 name none. */
static int judge_host(struct http_head *head, struct span host)
{
	bool is_old = head->parser.http_minor == 0;
	if (head->num_values[HOST] == 0 && !is_old)
		return refuse(head, 400, "the request has no Host");
	if ((host.len == 0 && is_old && head->num_values[HOST] == 0) || http_host_is_safe(host))
		return 0;
	head->has_name = head->takes_names && is_name(host);
	return head->has_name ? 0 : refuse(head, 403, HTTP_HEAD_NAMED);
}

static bool has_known_coding(struct http_head *head) /* RFC 9112 6.3 */
{
	return head->num_values[TRANSFER_ENCODING] == 0 ||
	       strcasecmp(buf_cstr(&head->values[TRANSFER_ENCODING]), "chunked") == 0;
}

/* No body is read: the connection closes after this request. */
static int on_complete(http_parser *parser)
{
	struct http_head *head = parser->data;
	head->is_complete = true;
	if (parser->method != HTTP_GET && parser->method != HTTP_HEAD)
		return refuse(head, 405, "only GET and HEAD are supported");
	if (parser->http_major != 1)
		return refuse(head, 505, "only HTTP/1 is supported");
	if (!has_known_coding(head))
		return refuse(head, 400, kept[TRANSFER_ENCODING].too_long);
	struct span host = buf_span(&head->values[HOST]);
	bool is_absolute = buf_cstr(&head->url)[0] != '/';
	if (is_absolute && take_absolute_form(head, &host) != 0)
		return -1;
	if (!head->takes_any_host && judge_host(head, host) != 0)
		return -1;
	if (is_absolute)
		buf_consume(&head->url, (size_t)(host.ptr - buf_span(&head->url).ptr) + host.len);
	return -1; /* stops the parser: later bytes are ignored */
}

static const http_parser_settings settings = {
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_complete,
};

static void split_query(struct http_head *head)
{
	char *mark = strchr((char *)(uintptr_t)buf_cstr(&head->url), '?');
	if (mark == NULL)
		return;
	*mark = '\0';
	head->query = mark + 1;
}

/* A line that begins with a space continues the one before, for some; RFC 9112 5.2 and 2.2 refuse both kinds. */
static bool has_folded_line(struct http_head *head, struct span bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		char byte = (char)bytes.ptr[i];
		if (head->last_byte == '\n' && (byte == ' ' || byte == '\t'))
			return true;
		head->last_byte = byte;
	}
	return false;
}

enum http_head_result http_head_feed(struct http_head *head, struct span bytes)
{
	CHECK(!head->is_complete && head->fault.status == 0);
	struct span taken = span_of(bytes.ptr, bytes.len);
	CHECK(head->num_bytes < HTTP_HEAD_MAX);
	if (bytes.len > HTTP_HEAD_MAX - head->num_bytes)
		taken.len = HTTP_HEAD_MAX - head->num_bytes;
	head->num_bytes += taken.len;
	size_t parsed = http_parser_execute(&head->parser, &settings, (const char *)taken.ptr, taken.len);
	if (has_folded_line(head, span_of(taken.ptr, parsed)))
		(void)refuse(head, 400, "a line begins with a space");
	if (head->fault.status != 0)
		return HTTP_HEAD_BAD;
	if (head->is_complete) {
		split_query(head);
		return HTTP_HEAD_OK;
	}
	if (parsed != taken.len || head->parser.http_errno != HPE_OK)
		(void)refuse(head, 400, "the request is not HTTP/1");
	else if (head->num_bytes == HTTP_HEAD_MAX)
		(void)refuse(head, 431, "the request is too large");
	return head->fault.status != 0 ? HTTP_HEAD_BAD : HTTP_HEAD_MORE;
}

struct http_fault http_head_fault(const struct http_head *head)
{
	CHECK(head->fault.status >= 400 && head->fault.text != NULL);
	return head->fault;
}

const char *http_status_text(unsigned status)
{
	switch (status) {
	case 200:
		return "OK";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 414:
		return "URI Too Long";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return status < 500 ? "Bad Request" : "Internal Server Error";
	}
}

bool http_head_has_name(const struct http_head *head)
{
	return head->has_name;
}

bool http_head_is_head(const struct http_head *head)
{
	return head->parser.method == HTTP_HEAD;
}

const char *http_head_path(const struct http_head *head)
{
	CHECK(head->is_complete && head->fault.status == 0); /* only then it ends with a NUL */
	return (const char *)buf_span(&head->url).ptr;
}

const char *http_head_query(const struct http_head *head)
{
	return head->query;
}

struct span http_head_bearer(const struct http_head *head)
{
	static const char scheme[] = "bearer ";
	struct span value = buf_span(&head->values[AUTHORIZATION]);
	if (value.len < sizeof scheme || strncasecmp((const char *)value.ptr, scheme, sizeof scheme - 1) != 0)
		return (struct span){0};
	return span_from(value, sizeof scheme - 1);
}

static bool is_ip(struct span text)
{
	struct ip_addr ip;
	return ip_addr_parse(text, &ip) == ERR_NONE;
}

bool http_host_is_safe(struct span host)
{
	struct addr addr;
	if (addr_parse(host, &addr) == ERR_NONE || is_ip(host))
		return true;
	if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
		return is_ip(span_of(host.ptr + 1, host.len - 2));
	if (!span_starts_with(host, SPAN_LITERAL("localhost")))
		return false;
	struct span port = span_from(host, strlen("localhost"));
	return port.len == 0 || (port.ptr[0] == ':' && is_port(span_from(port, 1)));
}
