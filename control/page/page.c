#include "control/page/page.h"
#include "base/core/check.h"
#include "base/core/list.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/http/http_get.h"
#include <stdio.h>
#include <string.h>

#define HTTP_HTML   "text/html; charset=utf-8"
#define HTTP_EVENTS "text/event-stream"

enum { SILENT_MS = 15000, LOG_EACH_MS = 60000, SHARE_OF_TIME = 20, HEADERS_MAX = HTTP_HEADERS_MAX };

struct watcher { /* a stream of events */
	struct list_link link;
	struct page *page;
	struct http_stream *stream;
};

struct page {
	struct page_options options;
	struct http_page table[3];
	struct http_server *server;
	struct buf token;
	char headers[HEADERS_MAX];
	struct list watchers;
	unsigned num_watchers;
	struct loop_timer poll;
	struct buf state, next; /* as it was sent last, and as it is now */
	enum err err;           /* of the last reading; none: the state is what it was */
	uint64_t sent_ms, log_due_ms;
	unsigned num_refused; /* since the last line */
};

static void on_page(void *arg, struct http_request *request)
{
	const struct page *page = arg;
	http_answer_headed(request, 200, HTTP_HTML, page->headers, page->options.html);
}

/* A line for the first, then one per minute. */
static void note_refusal(struct page *page)
{
	uint64_t now_ms = loop_now_ms(page->options.loop);
	page->num_refused++;
	if (now_ms < page->log_due_ms)
		return;
	log_warning("page", "%u requests without the token of page.token_file were refused", page->num_refused);
	page->log_due_ms = now_ms + LOG_EACH_MS;
	page->num_refused = 0;
}

/* False: it is answered. */
static bool is_allowed(struct page *page, struct http_request *request)
{
	if (span_eq_constant_time(http_request_bearer(request), buf_span(&page->token)))
		return true;
	note_refusal(page);
	http_answer_headed(request, 401, HTTP_TEXT, "WWW-Authenticate: Bearer\r\n",
		SPAN_LITERAL("expected the token of page.token_file as a bearer token\n"));
	return false;
}

static const char *reason_of(enum err err)
{
	return err == ERR_LIMIT ? "it has more than 6 MiB, which is too large for the page" : err_text(err);
}

static void on_state(void *arg, struct http_request *request)
{
	struct page *page = arg;
	if (!is_allowed(page, request))
		return;
	_cleanup_(buf_done) struct buf state = BUF_INIT(PAGE_STATE_MAX);
	enum err err = page->options.put_state(page->options.arg, &state);
	if (err == ERR_NONE)
		http_answer(request, 200, HTTP_JSON, buf_span(&state));
	else
		http_answer(request, 503, HTTP_TEXT, span_of_str(reason_of(err)));
}

static void on_gone(void *arg)
{
	struct watcher *watcher = arg;
	list_remove(&watcher->link);
	watcher->page->num_watchers--;
	mem_free(watcher);
}

/* One event with the state, which is one line, or with the reason why it cannot be read. */
static void send_to(struct watcher *watcher)
{
	const struct page *page = watcher->page;
	bool can_read = page->err == ERR_NONE;
	http_stream_put(watcher->stream,
		can_read ? SPAN_LITERAL("event: state\ndata: ") : SPAN_LITERAL("event: error\ndata: "));
	http_stream_put(watcher->stream, can_read ? buf_span(&page->state) : span_of_str(reason_of(page->err)));
	http_stream_put(watcher->stream, SPAN_LITERAL("\n\n"));
}

/* Whether there is something to send: another state, or that it cannot be read any more, or can be again. */
static bool read_state(struct page *page)
{
	enum err before = page->err;
	buf_clear(&page->next);
	page->err = page->options.put_state(page->options.arg, &page->next);
	if (page->err != ERR_NONE && page->err != before)
		log_warning("page", "the mesh's state cannot be shown: %s", reason_of(page->err));
	if (page->err != ERR_NONE)
		return page->err != before;
	if (before == ERR_NONE && span_eq(buf_span(&page->next), buf_span(&page->state)))
		return false;
	struct buf former = page->state;
	page->state = page->next;
	page->next = former;
	return true;
}

static void on_poll(struct loop_timer *timer);

static uint64_t now_ms_of(const struct page *page)
{
	const struct clock *clock = loop_clock(page->options.loop);
	return clock->mono_ms(clock);
}

static void poll_later(struct page *page, uint64_t took_ms)
{
	uint64_t each_ms = took_ms * SHARE_OF_TIME > PAGE_EACH_MS ? took_ms * SHARE_OF_TIME : PAGE_EACH_MS;
	loop_timer_start(page->options.loop, &page->poll, each_ms, on_poll);
}

/* A comment now and then, so that a client that is gone is noticed. */
static void on_poll(struct loop_timer *timer)
{
	struct page *page = container_of(timer, struct page, poll);
	if (page->num_watchers == 0)
		return;
	uint64_t now_ms = now_ms_of(page);
	bool has_changed = read_state(page);
	bool is_silent = now_ms - page->sent_ms >= SILENT_MS;
	if (has_changed || is_silent)
		page->sent_ms = now_ms;
	LIST_EACH_REMOVABLE(&page->watchers, struct watcher, watcher, link) {
		if (has_changed)
			send_to(watcher);
		else if (is_silent)
			http_stream_put(watcher->stream, SPAN_LITERAL(":\n\n"));
	}
	poll_later(page, now_ms_of(page) - now_ms);
}

static void on_events(void *arg, struct http_request *request)
{
	struct page *page = arg;
	if (!is_allowed(page, request))
		return;
	if (page->num_watchers == PAGE_STREAMS_MAX) {
		http_answer(
			request, 503, HTTP_TEXT, SPAN_LITERAL("8 streams of events are open: close another page\n"));
		return;
	}
	struct watcher *watcher = mem_new(struct watcher);
	watcher->page = page;
	watcher->stream = http_stream_open(request, HTTP_EVENTS, "", on_gone, watcher);
	if (watcher->stream == NULL) { /* the client is gone, or it was HEAD */
		mem_free(watcher);
		return;
	}
	bool is_first = page->num_watchers++ == 0;
	list_push_front(&page->watchers, &watcher->link);
	if (is_first) {
		page->sent_ms = now_ms_of(page);
		buf_clear(&page->state);
		page->err = ERR_NONE;
		(void)read_state(page);
		poll_later(page, 0);
	}
	send_to(watcher);
}

struct page *page_new(const struct page_options *options)
{
	CHECK(options->listening_fd >= 0 && options->token.len >= PAGE_TOKEN_LEAST && options->put_state != NULL);
	struct page *page = mem_new(struct page);
	page->options = *options;
	page->token = BUF_INIT_SECRET(PAGE_TOKEN_MAX);
	CHECK(buf_append(&page->token, options->token) == ERR_NONE);
	page->options.token = (struct span){0};
	page->state = BUF_INIT(PAGE_STATE_MAX);
	page->next = BUF_INIT(PAGE_STATE_MAX);
	int len = snprintf(page->headers, sizeof page->headers,
		"Content-Security-Policy: %s\r\nReferrer-Policy: no-referrer\r\nX-Frame-Options: DENY\r\n"
		"Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Resource-Policy: same-origin\r\n",
		options->policy);
	CHECK(len > 0 && (size_t)len < sizeof page->headers);
	page->options.policy = NULL;
	page->table[0] = (struct http_page){"/", on_page, page};
	page->table[1] = (struct http_page){"/state", on_state, page};
	page->table[2] = (struct http_page){"/events", on_events, page};
	page->server = http_server_new(options->loop, options->listening_fd, page->table, 3);
	return page;
}

void page_free(struct page *page)
{
	if (page == NULL)
		return;
	loop_timer_stop(&page->poll);
	http_server_free(page->server); /* on_gone() for each watcher */
	CHECK(page->num_watchers == 0);
	buf_done(&page->token);
	buf_done(&page->state);
	buf_done(&page->next);
	mem_free(page);
}

enum err page_token_read(struct span file, struct span *out, struct why *why)
{
	struct span token = file;
	while (token.len > 0 && (token.ptr[token.len - 1] == '\n' || token.ptr[token.len - 1] == '\r'))
		token.len--;
	bool is_printable = true;
	for (size_t i = 0; i < token.len; i++)
		is_printable &= token.ptr[i] > ' ' && token.ptr[i] < 0x7f;
	if (token.len < PAGE_TOKEN_LEAST || token.len > PAGE_TOKEN_MAX || !is_printable)
		return why_set(why, ERR_CONFIG, "a token of 32 to 256 printable bytes without a space, on one line",
			"make one: `openssl rand -hex 32`", "the file of page.token_file has %zu bytes%s", token.len,
			is_printable ? "" : ", of which some are not printable");
	*out = token;
	return ERR_NONE;
}
