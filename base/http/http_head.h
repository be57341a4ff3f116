/* Parses and validates the head of one request incrementally. No I/O. */
#pragma once

#include "base/core/buf.h"

#define HTTP_HEAD_MAX 8192 /* bytes per request: bounds memory */
#define HTTP_PATH_MAX 1024

struct http_head;
struct http_head *http_head_new(void);
/* A Host that is a DNS name is accepted, too: the server asks http_head_has_name() for which page. */
struct http_head *http_head_new_with_names(void);
/* For a server behind TLS with a certificate for its name: any Host is accepted, none as well (HTTP/1.0). */
struct http_head *http_head_new_any_host(void);
void http_head_free(struct http_head *head);

enum http_head_result {
	HTTP_HEAD_MORE, /* not complete yet */
	HTTP_HEAD_OK,   /* a valid GET or HEAD */
	HTTP_HEAD_BAD,  /* respond with http_head_fault() */
};
enum http_head_result http_head_feed(
	struct http_head *head, struct span bytes); /* not after another result than MORE */

struct http_fault {
	unsigned status; /* 400, 403, 405, 414, 431, 505 */
	const char *text;
};
struct http_fault http_head_fault(const struct http_head *head);
const char *http_status_text(unsigned status);             /* "Not Found", for the line of an answer */
bool http_head_is_head(const struct http_head *head);      /* HEAD: no body in the response */
const char *http_head_path(const struct http_head *head);  /* "/why", as received, without host and query */
const char *http_head_query(const struct http_head *head); /* after the '?', "" when there is none */
/* The credential of "Authorization: Bearer ..."; empty when there is none, or one of another scheme. */
struct span http_head_bearer(const struct http_head *head);
bool http_head_has_name(const struct http_head *head); /* the Host is a DNS name, as DNS rebinding makes it */
#define HTTP_HEAD_NAMED "the Host must be an IP address or localhost (against DNS rebinding)" /* 403 */
bool http_host_is_safe(struct span host); /* an IP address or localhost, with or without a port */
