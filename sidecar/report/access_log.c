#include "sidecar/report/access_log.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "sidecar/report/json_line.h"
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A pipe takes that much whole or not at all, so lines of several workers never mix. */
enum { LINE_MAX_BYTES = PIPE_BUF, SHORT_TEXT = 300 };

struct access_log {
	enum access_log_mode mode;
	unsigned one_in;
	int fd;     /* the caller's */
	int own_fd; /* the same pipe or terminal, opened again; -1: none */
	atomic_uint num_seen;
	atomic_uint_fast64_t num_lost;
};

/* O_NONBLOCK belongs to the open file, which we share with whoever gave us the descriptor, so that a pipe or a terminal
 * is opened again. A regular file is not: two offsets into one file overwrite each other. */
static int reopen(int fd)
{
	struct stat status;
	char path[40];
	if (fstat(fd, &status) != 0 || !(S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

struct access_log *access_log_new(enum access_log_mode mode, unsigned one_in, int fd)
{
	struct access_log *log = mem_new(struct access_log);
	log->mode = mode;
	log->one_in = one_in == 0 ? 1 : one_in;
	log->fd = fd;
	log->own_fd = mode == ACCESS_LOG_OFF ? -1 : reopen(fd);
	return log;
}

void access_log_free(struct access_log *log)
{
	if (log == NULL)
		return;
	fd_close(log->own_fd);
	mem_free(log);
}

uint64_t access_log_num_lost(const struct access_log *log)
{
	return atomic_load_explicit(&log->num_lost, memory_order_relaxed);
}

static bool is_wanted(struct access_log *log, const struct access_record *record)
{
	switch (log->mode) {
	case ACCESS_LOG_OFF:
		return false;
	case ACCESS_LOG_FAILURES:
		return record->failed;
	case ACCESS_LOG_ALL:
		return true;
	case ACCESS_LOG_SAMPLED:
		return record->failed ||
		       atomic_fetch_add_explicit(&log->num_seen, 1, memory_order_relaxed) % log->one_in == 0;
	}
	CHECK_UNREACHABLE();
}

static void put_time(struct json_line *line, int64_t wall_ms)
{
	char day[32], text[40];
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm utc;
	gmtime_r(&seconds, &utc);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text, sizeof(text), "%s.%03dZ", day, (int)(wall_ms % 1000));
	json_line_text(line, "time", text);
}

static void put_addr(struct json_line *line, const char *name, const struct addr *addr)
{
	char text[ADDR_TEXT_MAX];
	if (addr->ip.family != 0)
		json_line_text(line, name, addr_format(addr, text));
}

static void put_why(struct json_line *line, const struct why *why)
{
	if (why == NULL || why->err == ERR_NONE)
		return;
	json_line_object(line, "why");
	json_line_text(line, "error", err_label(why->err));
	json_line_text(line, "expected", why->expected);
	json_line_text(line, "got", why->got);
	json_line_text(line, "fix", why->fix);
	json_line_object_end(line);
}

static bool render(struct json_line *line, const struct access_record *record)
{
	put_time(line, record->ended_wall_ms);
	json_line_text(line, "direction", record->direction);
	json_line_text(line, "reason", record->reason);
	json_line_bool(line, "encrypted", record->encrypted);
	put_addr(line, "source", &record->source);
	put_addr(line, "destination", &record->destination);
	put_addr(line, "endpoint", &record->endpoint);
	json_line_text(line, "source_id", record->source_id == NULL ? NULL : record->source_id->text);
	json_line_text(line, "destination_id", record->destination_id == NULL ? NULL : record->destination_id->text);
	json_line_number(line, "bytes_sent", record->bytes_sent);
	json_line_number(line, "bytes_received", record->bytes_received);
	json_line_number(line, "duration_ms", record->duration_ms);
	json_line_text(line, "rule", record->rule);
	json_line_text(line, "dry_run_rule", record->dry_run_rule);
	put_why(line, record->why);
	return json_line_close(line);
}

/* Of the rare line that is too long, every text is cut. */
static size_t render_within(const struct access_record *record, char out[LINE_MAX_BYTES])
{
	struct json_line line;
	json_line_open(&line, out, LINE_MAX_BYTES, LINE_MAX_BYTES);
	if (render(&line, record))
		return line.len;
	json_line_open(&line, out, LINE_MAX_BYTES, SHORT_TEXT);
	CHECK(render(&line, record)); /* nine texts of 300 bytes, and the frame */
	return line.len;
}

/* Where it could not be opened again, it is asked first whether a write would block. */
static bool write_now(const struct access_log *log, const char *bytes, size_t len)
{
	if (log->own_fd >= 0)
		return write(log->own_fd, bytes, len) == (ssize_t)len;
	struct pollfd writable = {.fd = log->fd, .events = POLLOUT};
	if (poll(&writable, 1, 0) != 1 || (writable.revents & POLLOUT) == 0)
		return false;
	return write(log->fd, bytes, len) == (ssize_t)len;
}

void access_log_write(struct access_log *log, const struct access_record *record)
{
	char line[LINE_MAX_BYTES];
	if (!is_wanted(log, record))
		return;
	if (!write_now(log, line, render_within(record, line)))
		atomic_fetch_add_explicit(&log->num_lost, 1, memory_order_relaxed);
}
