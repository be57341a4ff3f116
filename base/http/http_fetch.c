#include "base/http/http_fetch.h"
#include "base/core/check.h"
#include "base/http/http_answer.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MAX = 1024, READ_LEN = 16384 };

static enum err wait_for(int fd, short events, int timeout_ms)
{
	struct pollfd one = {.fd = fd, .events = events};
	int result = poll(&one, 1, timeout_ms);
	return result == 1 ? ERR_NONE : result == 0 ? ERR_TIMEOUT : ERR_IO;
}

static enum err send_request(int fd, const char *path, int timeout_ms)
{
	_cleanup_(buf_done) struct buf request = BUF_INIT(REQUEST_MAX);
	RETURN_IF_ERR(wait_for(fd, POLLOUT, timeout_ms));
	RETURN_IF_ERR(socket_connect_result(fd));
	RETURN_IF_ERR(buf_printf(&request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", path));
	struct span bytes = buf_span(&request);
	return send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL) == (ssize_t)bytes.len ? ERR_NONE : ERR_IO;
}

static enum err read_all(int fd, int timeout_ms, struct buf *out)
{
	for (;;) {
		uint8_t *room;
		RETURN_IF_ERR(wait_for(fd, POLLIN, timeout_ms));
		size_t len = buf_room(out) < READ_LEN ? buf_room(out) : READ_LEN;
		if (len == 0)
			return ERR_LIMIT;
		RETURN_IF_ERR(buf_reserve(out, len, &room));
		ssize_t got = read(fd, room, len);
		if (got == 0)
			return ERR_NONE;
		if (got < 0 && errno != EAGAIN)
			return ERR_IO;
		buf_commit(out, got < 0 ? 0 : (size_t)got);
	}
}

enum err http_fetch(
	const struct addr *at, const char *path, int timeout_ms, struct buf *answer, struct http_fetched *out)
{
	CHECK(path[0] == '/');
	_cleanup_fd_ int fd = -1;
	RETURN_IF_ERR(socket_connect(at, &(struct socket_connect_options){0}, &fd));
	RETURN_IF_ERR(send_request(fd, path, timeout_ms));
	RETURN_IF_ERR(read_all(fd, timeout_ms, answer));
	struct http_answer whole;
	RETURN_IF_ERR(http_answer_read(buf_span(answer), true, &whole));
	*out = (struct http_fetched){whole.status, whole.body};
	return ERR_NONE;
}
