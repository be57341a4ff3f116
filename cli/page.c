#include "cli/page.h"
#include "base/core/addr.h"
#include "base/core/buf.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "cli/commands.h"
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define PAGE_MAX   (4u * 1024 * 1024)
#define TIMEOUT_MS 5000

static enum err wait_for(int fd, short events)
{
	struct pollfd one = {.fd = fd, .events = events};
	int result = poll(&one, 1, TIMEOUT_MS);
	return result == 1 ? ERR_NONE : result == 0 ? ERR_TIMEOUT : ERR_IO;
}

static enum err send_request(int fd, const char *path)
{
	_cleanup_(buf_done) struct buf request = BUF_INIT(1024);
	RETURN_IF_ERR(wait_for(fd, POLLOUT));
	RETURN_IF_ERR(socket_connect_result(fd));
	RETURN_IF_ERR(buf_printf(&request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", path));
	struct span bytes = buf_span(&request);
	return write(fd, bytes.ptr, bytes.len) == (ssize_t)bytes.len ? ERR_NONE : ERR_IO;
}

static enum err read_all(int fd, struct buf *out)
{
	for (;;) {
		uint8_t *room;
		RETURN_IF_ERR(wait_for(fd, POLLIN));
		RETURN_IF_ERR(buf_reserve(out, 16384, &room));
		ssize_t len = read(fd, room, 16384);
		if (len == 0)
			return ERR_NONE;
		if (len < 0 && errno != EAGAIN)
			return ERR_IO;
		buf_commit(out, len < 0 ? 0 : (size_t)len);
	}
}

static enum err split(struct span answer, unsigned *out_status, struct span *out_body)
{
	const uint8_t *end = memmem(answer.ptr, answer.len, "\r\n\r\n", 4);
	if (end == NULL || answer.len < 12 || memcmp(answer.ptr, "HTTP/1.1 ", 9) != 0)
		return ERR_MALFORMED;
	*out_status = 0;
	for (size_t i = 9; i < 12; i++) {
		if (answer.ptr[i] < '0' || answer.ptr[i] > '9')
			return ERR_MALFORMED;
		*out_status = *out_status * 10 + (unsigned)(answer.ptr[i] - '0');
	}
	*out_body = span_from(answer, (size_t)(end - answer.ptr) + 4);
	return ERR_NONE;
}

static enum err get(const struct addr *at, const char *path, struct buf *page)
{
	_cleanup_fd_ int fd = -1;
	const struct socket_connect_options none = {0};
	RETURN_IF_ERR(socket_connect(at, &none, &fd));
	RETURN_IF_ERR(send_request(fd, path));
	return read_all(fd, page);
}

enum err page_get(const struct command_line *line, const char *path, json_t **out, struct why *why)
{
	_cleanup_(buf_done) struct buf page = BUF_INIT(PAGE_MAX);
	const char *given = command_line_value(line, "admin"), *admin = given != NULL ? given : COMMANDS_ADMIN;
	struct span body;
	unsigned status;
	struct addr at;
	if (addr_parse(span_of_str(admin), &at) != ERR_NONE)
		return why_set(why, ERR_CONFIG, "--admin with an address and port such as " COMMANDS_ADMIN,
			"correct it", "%s", admin);
	enum err err = get(&at, path, &page);
	if (err == ERR_NONE)
		err = split(buf_span(&page), &status, &body);
	if (err != ERR_NONE)
		return why_set(why, ERR_UNAVAILABLE, "a sidecar that answers at its admin endpoint",
			"start it, or name its --admin address", "%s at %s", err_text(err), admin);
	json_t *parsed = status == 200 ? json_loadb((const char *)body.ptr, body.len, 0, NULL) : NULL;
	if (parsed == NULL)
		return why_set(why, ERR_UNAVAILABLE, "the page of a sidecar of this release",
			"name the sidecar's own --admin address", "status %u for %s at %s", status, path, admin);
	*out = parsed;
	return ERR_NONE;
}
