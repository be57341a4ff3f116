#include "bench/load/far_end.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/listener.h"
#include "bench/load/request.h"
#include <errno.h>
#include <string.h>

enum { BLOCK_LEN = 256 * 1024 };

static const uint8_t block[BLOCK_LEN]; /* the content of answers */

struct served {
	struct loop_io io;
	int fd;
	uint8_t header[sizeof(struct request_header)];
	uint64_t got;         /* of the request under way */
	uint64_t answer_left; /* > 0: nothing is read until it is sent */
};

static void served_free(struct served *served)
{
	loop_io_stop(&served->io);
	fd_close(served->fd);
	mem_free(served);
}

/* Whether the connection is open. One block per round of the loop: a fast reader must not starve the others. */
static bool answer(struct served *served)
{
	size_t len = served->answer_left < BLOCK_LEN ? (size_t)served->answer_left : BLOCK_LEN;
	ssize_t sent = send(served->fd, block, len, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN)
		return false;
	served->answer_left -= sent > 0 ? (uint64_t)sent : 0;
	loop_io_set_interest(&served->io, served->answer_left > 0 ? LOOP_WRITE : LOOP_READ);
	return true;
}

/* Consumes the bytes of the request under way; the client never pipelines.
 */
static bool take(struct served *served, const uint8_t *bytes, size_t len)
{
	struct request_header header;
	if (served->got < sizeof(header)) {
		size_t part = sizeof(header) - (size_t)served->got;
		memcpy(served->header + served->got, bytes, part < len ? part : len);
	}
	served->got += len;
	if (served->got < sizeof(header))
		return true;
	memcpy(&header, served->header, sizeof(header));
	if (header.request_len > REQUEST_LEN_MAX || served->got > header.request_len)
		return false;
	if (served->got < header.request_len)
		return true;
	served->got = 0;
	served->answer_left = header.response_len;
	return answer(served);
}

static void on_ready(struct loop_io *io, unsigned ready)
{
	struct served *served = container_of(io, struct served, io);
	if ((ready & LOOP_WRITE) != 0) {
		if (!answer(served))
			served_free(served);
		return;
	}
	uint8_t bytes[REQUEST_LEN_MAX];
	ssize_t len = recv(served->fd, bytes, sizeof(bytes), 0);
	if (len < 0 && errno == EAGAIN)
		return;
	if (len <= 0 || !take(served, bytes, (size_t)len))
		served_free(served);
}

static void on_accept(void *arg, int fd, _unused_ const struct addr *peer)
{
	struct served *served = mem_new(struct served);
	served->fd = fd;
	socket_set_nodelay(fd);
	loop_io_start(arg, &served->io, fd, LOOP_READ, on_ready);
}

enum err far_end_start(struct loop *loop, const struct addr *at, struct why *why)
{
	int listening;
	enum err err = socket_listen(at, &(struct socket_listen_options){.backlog = 16384}, &listening, why);
	if (err == ERR_NONE)
		(void)listener_new(loop, listening, on_accept, NULL, loop);
	return err;
}
