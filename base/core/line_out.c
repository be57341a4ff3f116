#include "base/core/line_out.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Buffers a burst until the reader is scheduled. Four times the default of a pipe, far below the kernel's limit per
 * user. */
enum { PIPE_BYTES = 256 * 1024 };

struct line_out {
	_Atomic int method; /* enum line_out_method */
	int fd;             /* borrowed */
	int own_fd;         /* -1, or the same file reopened */
	int through[2];     /* -1, or a pipe for splice(2) */
	pthread_mutex_t splicing;
	line_out_gap_fn *gap;
	atomic_uint_fast64_t num_lost, num_unreported;
};

static int reopen(int fd)
{
	char path[40];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

enum line_out_method line_out_best_method(int fd)
{
	struct stat status;
	if (fstat(fd, &status) != 0)
		return LINE_OUT_FILE; /* closed: every write fails at once */
	if (S_ISSOCK(status.st_mode))
		return LINE_OUT_SEND;
	if (!S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode))
		return LINE_OUT_FILE; /* reopened, its own offset would overwrite lines of other writers
				       */
	int own_fd = reopen(fd);
	if (own_fd < 0)
		return S_ISFIFO(status.st_mode) ? LINE_OUT_NOWAIT : LINE_OUT_POLL;
	close(own_fd);
	return LINE_OUT_REOPENED;
}

struct line_out *line_out_new_by(enum line_out_method method, int fd, line_out_gap_fn *gap)
{
	CHECK(fd >= 0 && gap != NULL);
	struct line_out *out = mem_new(struct line_out);
	out->method = (int)method;
	out->fd = fd;
	out->own_fd = method == LINE_OUT_REOPENED ? reopen(fd) : -1;
	out->through[0] = out->through[1] = -1;
	out->gap = gap;
	CHECK(pthread_mutex_init(&out->splicing, NULL) == 0);
	if ((method == LINE_OUT_NOWAIT || method == LINE_OUT_SPLICE) &&
		pipe2(out->through, O_CLOEXEC | O_NONBLOCK) != 0)
		out->method = LINE_OUT_POLL;       /* out of descriptors */
	(void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES); /* fails for anything but a pipe */
	return out;
}

struct line_out *line_out_new(int fd, line_out_gap_fn *gap)
{
	return line_out_new_by(line_out_best_method(fd), fd, gap);
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void line_out_free(struct line_out *out)
{
	if (out == NULL)
		return;
	close_if_open(out->own_fd);
	close_if_open(out->through[0]);
	close_if_open(out->through[1]);
	CHECK(pthread_mutex_destroy(&out->splicing) == 0);
	mem_free(out);
}

uint64_t line_out_num_lost(const struct line_out *out)
{
	return atomic_load_explicit(&out->num_lost, memory_order_relaxed);
}

/* --- the methods; true: the whole line was written --- */

static bool is_all(ssize_t written, size_t len)
{
	return written == (ssize_t)len;
}

static bool write_retrying(int fd, const char *line, size_t len)
{
	ssize_t written;
	do
		written = write(fd, line, len);
	while (written < 0 && errno == EINTR);
	return is_all(written, len);
}

static bool write_polled(int fd, const char *line, size_t len)
{
	struct pollfd room = {.fd = fd, .events = POLLOUT};
	return poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0 && write_retrying(fd, line, len);
}

/* The line lies in one page of the pipe, which splice(2) moves whole or not at all. */
static bool write_spliced(struct line_out *out, const char *line, size_t len)
{
	char unsent[LINE_OUT_MAX];
	CHECK(pthread_mutex_lock(&out->splicing) == 0);
	bool is_written = write_retrying(out->through[1], line, len) &&
			  is_all(splice(out->through[0], NULL, out->fd, NULL, len, SPLICE_F_NONBLOCK), len);
	while (!is_written && read(out->through[0], unsent, sizeof unsent) > 0)
		;
	CHECK(pthread_mutex_unlock(&out->splicing) == 0);
	return is_written;
}

static bool write_nowait(struct line_out *out, const char *line, size_t len)
{
	const struct iovec vector = {.iov_base = (void *)(uintptr_t)line, .iov_len = len}; /* only read from */
	ssize_t written = pwritev2(out->fd, &vector, 1, -1, RWF_NOWAIT);
	if (written >= 0 || errno != EOPNOTSUPP)
		return is_all(written, len);
	atomic_store_explicit(&out->method, LINE_OUT_SPLICE, memory_order_relaxed);
	return write_spliced(out, line, len);
}

static bool put(struct line_out *out, const char *line, size_t len)
{
	switch ((enum line_out_method)atomic_load_explicit(&out->method, memory_order_relaxed)) {
	case LINE_OUT_REOPENED:
		return write_retrying(out->own_fd, line, len);
	case LINE_OUT_NOWAIT:
		return write_nowait(out, line, len);
	case LINE_OUT_SPLICE:
		return write_spliced(out, line, len);
	case LINE_OUT_SEND:
		return is_all(send(out->fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL), len);
	case LINE_OUT_POLL:
		return write_polled(out->fd, line, len);
	case LINE_OUT_FILE:
		return write_retrying(out->fd, line, len);
	}
	CHECK_UNREACHABLE();
}

/* True: all dropped lines were reported. */
static bool report_gap(struct line_out *out)
{
	char line[LINE_OUT_MAX];
	if (atomic_load_explicit(&out->num_unreported, memory_order_relaxed) == 0)
		return true;
	uint64_t num = atomic_exchange_explicit(&out->num_unreported, 0, memory_order_relaxed);
	if (num == 0 || put(out, line, out->gap(num, line)))
		return true;
	atomic_fetch_add_explicit(&out->num_unreported, num, memory_order_relaxed);
	return false;
}

void line_out_write(struct line_out *out, const char *line, size_t len)
{
	CHECK(len <= LINE_OUT_MAX);
	if (report_gap(out) && put(out, line, len))
		return;
	atomic_fetch_add_explicit(&out->num_lost, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&out->num_unreported, 1, memory_order_relaxed);
}
