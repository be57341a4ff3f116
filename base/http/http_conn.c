#include "base/http/http_conn.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/http/http_date.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADING_MAX = 512 };

struct http_request {
	struct http_conn *conn; /* NULL: the client has disconnected */
	char *path, *query;
};

struct http_stream {
	struct http_conn *conn;
	struct loop_task work; /* writes what was put */
	bool is_over;          /* the client left too much unread */
	http_stream_end_fn *on_end;
	void *arg;
};

static void on_ready(struct loop_io *io, unsigned ready);

/* A request that is malformed is answered without its page. */
static bool may_go(enum http_phase from, enum http_phase to)
{
	switch (from) {
	case HTTP_READING:
		return to == HTTP_ANSWERING || to == HTTP_WRITING;
	case HTTP_ANSWERING:
		return to == HTTP_WRITING || to == HTTP_STREAMING;
	case HTTP_STREAMING:
	case HTTP_LINGERING:
		return false;
	case HTTP_WRITING:
		return to == HTTP_LINGERING;
	}
	CHECK_UNREACHABLE();
}

static void set_phase(struct http_conn *conn, enum http_phase phase)
{
	CHECK(may_go(conn->phase, phase));
	conn->phase = phase;
}

static void on_timeout(struct loop_timer *timer)
{
	http_conn_free(container_of(timer, struct http_conn, deadline));
}

struct http_conn *http_conn_new(struct http_server *server, struct loop *loop, int fd)
{
	struct http_conn *conn = mem_new(struct http_conn);
	conn->server = server;
	conn->loop = loop;
	conn->fd = fd;
	conn->head = http_server_takes_names(server) ? http_head_new_with_names() : http_head_new();
	loop_io_start(loop, &conn->io, fd, LOOP_READ, on_ready);
	loop_timer_start(loop, &conn->deadline, HTTP_REQUEST_MS, on_timeout);
	return conn;
}

static void stream_free(struct http_stream *stream)
{
	stream->conn->stream = NULL;
	loop_task_cancel(&stream->work);
	mem_free(stream);
}

/* Its owner is notified first, as it must put nothing more. */
static void end_stream(struct http_conn *conn)
{
	struct http_stream *stream = conn->stream;
	if (stream == NULL)
		return;
	http_stream_end_fn *on_end = stream->on_end;
	void *arg = stream->arg;
	stream_free(stream);
	on_end(arg);
}

void http_conn_free(struct http_conn *conn)
{
	http_server_forget(conn->server, conn);
	end_stream(conn);
	if (conn->request != NULL)
		conn->request->conn = NULL; /* its owner will still answer */
	loop_io_stop(&conn->io);
	loop_timer_stop(&conn->deadline);
	loop_task_cancel(&conn->page_task);
	fd_close(conn->fd);
	http_head_free(conn->head);
	buf_done(&conn->out);
	mem_free(conn);
}

/* Reads and drops bytes after the request: closing with unread bytes would reset the connection and lose the response.
 */
static void linger(struct http_conn *conn)
{
	(void)shutdown(conn->fd, SHUT_WR);
	set_phase(conn, HTTP_LINGERING);
	loop_io_set_interest(&conn->io, LOOP_READ);
	loop_timer_start(conn->loop, &conn->deadline, HTTP_LINGER_MS, on_timeout);
}

static void write_some(struct http_conn *conn)
{
	while (buf_len(&conn->out) > 0) {
		struct span left = buf_span(&conn->out);
		ssize_t written = send(conn->fd, left.ptr, left.len, MSG_NOSIGNAL);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0 && errno == EAGAIN) {
			loop_io_set_interest(&conn->io, LOOP_WRITE);
			return;
		}
		if (written < 0) {
			http_conn_free(conn);
			return;
		}
		buf_consume(&conn->out, (size_t)written);
	}
	if (conn->phase == HTTP_STREAMING)
		loop_io_set_interest(&conn->io, LOOP_READ); /* its end */
	else
		linger(conn);
}

/* The head of an answer but its length and last line. room: of what follows. */
static void put_heading(
	struct http_conn *conn, unsigned status, const char *content_type, const char *headers, size_t room)
{
	char date[HTTP_DATE_TEXT]; /* RFC 9110 6.6.1; `handfast check` compares the clocks of a cluster by it */
	const struct clock *clock = loop_clock(conn->loop);
	CHECK(conn->request == NULL && status >= 200 && status <= 599 && strlen(headers) <= HTTP_HEADERS_MAX);
	http_date_format(clock->wall_ms(clock) / 1000, date);
	buf_init(&conn->out, HEADING_MAX + HTTP_HEADERS_MAX + room);
	CHECK(buf_printf(&conn->out,
		      "HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: %s\r\nConnection: close\r\n"
		      "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s%s",
		      status, http_status_text(status), date, content_type, headers,
		      status == 405 ? "Allow: GET, HEAD\r\n" : "") == ERR_NONE);
}

static void answer(
	struct http_conn *conn, unsigned status, const char *content_type, const char *headers, struct span body)
{
	put_heading(conn, status, content_type, headers, body.len);
	CHECK(buf_printf(&conn->out, "Content-Length: %zu\r\n\r\n", body.len) == ERR_NONE);
	if (!http_head_is_head(conn->head))
		CHECK(buf_append(&conn->out, body) == ERR_NONE);
	set_phase(conn, HTTP_WRITING);
	loop_timer_start(conn->loop, &conn->deadline, HTTP_WRITE_MS, on_timeout);
	write_some(conn);
}

static void answer_text(struct http_conn *conn, unsigned status, const char *text)
{
	char body[256];
	int len = snprintf(body, sizeof(body), "%s\n", text);
	CHECK(len > 0 && (size_t)len < sizeof(body));
	answer(conn, status, HTTP_TEXT, "", span_of(body, (size_t)len));
}

/* Its connection; NULL: the client is gone. */
static struct http_conn *request_leave(struct http_request *request)
{
	struct http_conn *conn = request->conn;
	CHECK(conn == NULL || conn->request == request);
	if (conn != NULL)
		conn->request = NULL;
	return conn;
}

static void request_free(struct http_request *request)
{
	mem_free(request->path);
	mem_free(request->query);
	mem_free(request);
}

void http_answer_headed(
	struct http_request *request, unsigned status, const char *content_type, const char *headers, struct span body)
{
	struct http_conn *conn = request_leave(request);
	if (conn != NULL)
		answer(conn, status, content_type, headers, body);
	request_free(request); /* the body may be its query */
}

void http_answer(struct http_request *request, unsigned status, const char *content_type, struct span body)
{
	http_answer_headed(request, status, content_type, "", body);
}

static void on_work(struct loop_task *task)
{
	struct http_stream *stream = container_of(task, struct http_stream, work);
	if (stream->is_over)
		http_conn_free(stream->conn);
	else
		write_some(stream->conn);
}

/* To HEAD a stream is its head alone, and ends. */
struct http_stream *http_stream_open(struct http_request *request, const char *content_type, const char *headers,
	http_stream_end_fn *on_end, void *arg)
{
	struct http_conn *conn = request_leave(request);
	request_free(request);
	if (conn == NULL)
		return NULL;
	if (http_head_is_head(conn->head)) {
		answer(conn, 200, content_type, headers, (struct span){0});
		return NULL;
	}
	put_heading(conn, 200, content_type, headers, HTTP_STREAM_MAX);
	CHECK(buf_append_str(&conn->out, "\r\n") == ERR_NONE);
	set_phase(conn, HTTP_STREAMING);
	loop_timer_stop(&conn->deadline);
	conn->stream = mem_new(struct http_stream);
	*conn->stream = (struct http_stream){.conn = conn, .on_end = on_end, .arg = arg};
	loop_task_post(conn->loop, &conn->stream->work, on_work);
	return conn->stream;
}

void http_stream_put(struct http_stream *stream, struct span piece)
{
	if (!stream->is_over && buf_append(&stream->conn->out, piece) != ERR_NONE)
		stream->is_over = true;
	loop_task_post(stream->conn->loop, &stream->work, on_work);
}

struct span http_request_bearer(const struct http_request *request)
{
	return request->conn == NULL ? (struct span){0} : http_head_bearer(request->conn->head);
}

const char *http_request_path(const struct http_request *request)
{
	return request->path;
}

const char *http_request_query(const struct http_request *request)
{
	return request->query;
}

enum err http_request_local(const struct http_request *request, struct addr *out)
{
	return request->conn == NULL ? ERR_CLOSED : socket_local_addr(request->conn->fd, out);
}

/* Responds 503; a later answer of the owner is dropped. */
static void on_no_answer(struct loop_timer *timer)
{
	struct http_conn *conn = container_of(timer, struct http_conn, deadline);
	CHECK(conn->request != NULL && conn->request->conn == conn);
	conn->request->conn = NULL;
	conn->request = NULL;
	answer_text(conn, 503, "the page timed out");
}

void http_request_extend(struct http_request *request, uint32_t ms)
{
	if (request->conn != NULL)
		loop_timer_start(request->conn->loop, &request->conn->deadline, ms, on_no_answer);
}

bool http_request_is_open(const struct http_request *request)
{
	return request->conn != NULL;
}

static void ask_for_page(struct loop_task *task)
{
	struct http_conn *conn = container_of(task, struct http_conn, page_task);
	CHECK(conn->phase == HTTP_ANSWERING && conn->request == NULL);
	const struct http_page *page = http_server_page(conn->server, http_head_path(conn->head));
	if (http_head_has_name(conn->head) && (page == NULL || !page->takes_names)) {
		answer_text(conn, 403, HTTP_HEAD_NAMED);
		return;
	}
	if (page == NULL) {
		answer_text(conn, 404, "page not found");
		return;
	}
	struct http_request *request = mem_new(struct http_request);
	request->conn = conn;
	request->path = mem_strdup(http_head_path(conn->head));
	request->query = mem_strdup(http_head_query(conn->head));
	conn->request = request;
	loop_timer_start(conn->loop, &conn->deadline, HTTP_ANSWER_MS, on_no_answer);
	page->on_get(page->arg, request);
}

static void take(struct http_conn *conn, struct span bytes)
{
	switch (http_head_feed(conn->head, bytes)) {
	case HTTP_HEAD_MORE:
		return;
	case HTTP_HEAD_OK:
		set_phase(conn, HTTP_ANSWERING);
		loop_io_set_interest(&conn->io, 0);
		loop_task_post(conn->loop, &conn->page_task, ask_for_page);
		return;
	case HTTP_HEAD_BAD: {
		struct http_fault fault = http_head_fault(conn->head);
		answer_text(conn, fault.status, fault.text);
		return;
	}
	}
	CHECK_UNREACHABLE();
}

static void read_some(struct http_conn *conn)
{
	uint8_t bytes[HTTP_HEAD_MAX];
	ssize_t got = recv(conn->fd, bytes, sizeof(bytes), 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0)
		http_conn_free(conn);
	else if (conn->phase == HTTP_READING)
		take(conn, span_of(bytes, (size_t)got));
}

static void on_ready(struct loop_io *io, unsigned ready)
{
	struct http_conn *conn = container_of(io, struct http_conn, io);
	if (conn->phase == HTTP_WRITING || (conn->phase == HTTP_STREAMING && (ready & LOOP_WRITE) != 0))
		write_some(conn);
	else if ((ready & LOOP_READ) != 0)
		read_some(conn);
}
