#include "base/http/http_post.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include <http_parser.h>

struct http_post {
	http_parser parser;
	struct buf url;
	size_t num_head; /* bytes; more than HTTP_HEAD_MAX are refused */
	bool has_head, is_complete, is_kept_alive;
	http_body_fn *on_body;
	void *arg;
	struct http_fault fault;
};

struct http_post *http_post_new(http_body_fn *on_body, void *arg)
{
	struct http_post *post = mem_new(struct http_post);
	http_parser_init(&post->parser, HTTP_REQUEST);
	post->parser.data = post;
	post->url = BUF_INIT(HTTP_PATH_MAX);
	post->on_body = on_body;
	post->arg = arg;
	return post;
}

void http_post_free(struct http_post *post)
{
	if (post == NULL)
		return;
	buf_done(&post->url);
	mem_free(post);
}

/* Stores the first fault. The return value stops the parser in any callback. */
static int refuse(struct http_post *post, unsigned status, const char *text)
{
	if (post->fault.status == 0)
		post->fault = (struct http_fault){.status = status, .text = text};
	return -1;
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
	struct http_post *post = parser->data;
	if (buf_append(&post->url, span_of(at, len)) != ERR_NONE)
		return refuse(post, 431, "the path is too long");
	return 0;
}

/* A body without a length would last as long as the connection. */
static int on_head(http_parser *parser)
{
	struct http_post *post = parser->data;
	if (parser->method != HTTP_POST)
		return refuse(post, 405, "only POST is supported");
	if (parser->http_major != 1 || parser->http_minor != 1)
		return refuse(post, 505, "only HTTP/1.1 is supported");
	if (parser->upgrade)
		return refuse(post, 400, "no upgrade is supported");
	char *url = (char *)(uintptr_t)buf_cstr(&post->url);
	if (url[0] != '/')
		return refuse(post, 400, "the request has no path");
	url[strcspn(url, "?")] = '\0';
	post->has_head = true;
	return 0;
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
	struct http_post *post = parser->data;
	post->on_body(post->arg, span_of(at, len));
	return 0;
}

static int on_complete(http_parser *parser)
{
	struct http_post *post = parser->data;
	post->is_complete = true;
	post->is_kept_alive = http_should_keep_alive(parser) != 0;
	return -1; /* stops the parser behind the request */
}

static const http_parser_settings settings = {
	.on_url = on_url,
	.on_headers_complete = on_head,
	.on_body = on_body,
	.on_message_complete = on_complete,
};

enum http_post_result http_post_feed(struct http_post *post, struct span bytes)
{
	CHECK(!post->is_complete && post->fault.status == 0);
	size_t done = 0;
	while (done < bytes.len && !post->is_complete && post->fault.status == 0) {
		struct span part = span_from(bytes, done);
		if (!post->has_head && part.len > HTTP_HEAD_MAX - post->num_head)
			part.len = HTTP_HEAD_MAX - post->num_head;
		size_t parsed = http_parser_execute(&post->parser, &settings, (const char *)part.ptr, part.len);
		if (!post->has_head)
			post->num_head += part.len;
		if (!post->is_complete && (parsed != part.len || post->parser.http_errno != HPE_OK))
			(void)refuse(post, 400, "the request is not HTTP/1.1");
		else if (!post->has_head && post->num_head == HTTP_HEAD_MAX)
			(void)refuse(post, 431, "the head of the request is too large");
		done += parsed;
	}
	if (post->is_complete && post->fault.status == 0 && done < bytes.len)
		(void)refuse(post, 400, "a second request before the first was answered");
	if (post->fault.status != 0)
		return HTTP_POST_BAD;
	return post->is_complete ? HTTP_POST_COMPLETE : HTTP_POST_MORE;
}

struct http_fault http_post_fault(const struct http_post *post)
{
	CHECK(post->fault.status >= 400 && post->fault.text != NULL);
	return post->fault;
}

const char *http_post_path(const struct http_post *post)
{
	return post->has_head ? (const char *)buf_span(&post->url).ptr : NULL; /* on_head() ended it with a NUL */
}

bool http_post_is_kept_alive(const struct http_post *post)
{
	return post->is_kept_alive;
}
