#include "base/core/log.h"
#include "base/core/check.h"
#include "base/core/clock.h"
#include "base/core/date.h"
#include "base/core/escape.h"
#include "base/core/line_out.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

/* Set at the start, read by every thread: the only global state of the programs. */
static _Atomic int max_level = LOG_LEVEL_NOTICE;
static _Atomic bool is_json;
static const char *_Atomic program = "handfast";
static struct line_out *_Atomic sink; /* NULL before log_open() */

static struct {
	const char *component; /* NULL: none */
	log_tap_fn *on_line;
	void *arg;
} tap;

enum { TEXT_MAX = 1024 }; /* of one raw or escaped text; the rest is cut off */

struct line {
	char bytes[LINE_OUT_MAX];
	size_t len;
};

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&max_level, (int)level, memory_order_relaxed);
}

void log_set_json(bool json)
{
	atomic_store_explicit(&is_json, json, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

static const char *level_text(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error";
	case LOG_LEVEL_WARNING:
		return "warning";
	case LOG_LEVEL_NOTICE:
		return "notice";
	case LOG_LEVEL_DEBUG:
		return "debug";
	}
	CHECK_UNREACHABLE();
}

/* Leaves room for the end of the line, so that a cut line still ends (and a cut JSON object is still one). */
static void put_byte(struct line *line, char byte)
{
	if (line->len < sizeof line->bytes - 4)
		line->bytes[line->len++] = byte;
}

static void put(struct line *line, const char *text)
{
	for (; *text != '\0'; text++)
		put_byte(line, *text);
}

static void put_time(struct line *line)
{
	char text[DATE_TEXT_MAX];
	put(line, date_format_ms(clock_system.wall_ms(&clock_system), text));
}

/* After escape_ascii() only the quote and the backslash need escapes (RFC 8259 7). */
static void put_field(struct line *line, const char *name, const char *raw)
{
	char escaped[TEXT_MAX];
	escape_ascii(span_of_str(raw), escaped, sizeof escaped);
	put(line, ",\"");
	put(line, name);
	put(line, "\":\"");
	for (const char *next = escaped; *next != '\0' && line->len < sizeof line->bytes - 8; next++) {
		if (*next == '"' || *next == '\\')
			put_byte(line, '\\');
		put_byte(line, *next);
	}
	put_byte(line, '"');
}

static void put_json(struct line *line, enum log_level level, const char *component, const char *text)
{
	put(line, "{\"ts\":\"");
	put_time(line);
	put_byte(line, '"');
	put_field(line, "level", level_text(level));
	put_field(line, "program", atomic_load_explicit(&program, memory_order_relaxed));
	put_field(line, "component", component);
	put_field(line, "text", text);
}

static void put_plain(struct line *line, enum log_level level, const char *component, const char *text)
{
	char escaped[TEXT_MAX];
	put_time(line);
	put_byte(line, ' ');
	put(line, level_text(level));
	put_byte(line, ' ');
	put(line, atomic_load_explicit(&program, memory_order_relaxed));
	put_byte(line, ' ');
	put(line, component);
	put(line, ": ");
	escape_ascii(span_of_str(text), escaped, sizeof escaped);
	put(line, escaped);
}

/* A failure to log must not stop traffic. */
static void flush(struct line *line)
{
	struct line_out *out = atomic_load_explicit(&sink, memory_order_acquire);
	line->bytes[line->len++] = '\n';
	if (out != NULL) {
		line_out_write(out, line->bytes, line->len);
		return;
	}
	ssize_t written;
	do
		written = write(STDERR_FILENO, line->bytes, line->len);
	while (written < 0 && errno == EINTR);
}

static void put_whole(struct line *line, enum log_level level, const char *component, const char *text)
{
	line->len = 0;
	if (atomic_load_explicit(&is_json, memory_order_relaxed)) {
		put_json(line, level, component, text);
		put_byte(line, '}');
	} else {
		put_plain(line, level, component, text);
	}
}

void log_set_tap(const char *component, log_tap_fn *on_line, void *arg)
{
	CHECK((component == NULL) == (on_line == NULL));
	tap.component = component;
	tap.on_line = on_line;
	tap.arg = arg;
}

static bool is_tapped(const char *component)
{
	return tap.component != NULL && strcmp(tap.component, component) == 0;
}

void log_write(enum log_level level, const char *component, const char *format, ...)
{
	if (!log_enabled(level) && !is_tapped(component))
		return;
	char text[TEXT_MAX];
	struct line line;
	va_list args;
	va_start(args, format);
	int len = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (len < 0)
		text[0] = '\0';
	if (is_tapped(component))
		tap.on_line(tap.arg, text);
	if (!log_enabled(level))
		return;
	put_whole(&line, level, component, text);
	flush(&line);
}

void log_lines(enum log_level level, const char *component, const char *text)
{
	for (size_t len; *text != '\0'; text += len + (text[len] == '\n' ? 1 : 0)) {
		len = strcspn(text, "\n");
		log_write(level, component, "%.*s", (int)len, text);
	}
}

static void put_why_json(struct line *line, const struct why *why)
{
	if (why->err != ERR_NONE)
		put_field(line, "err", err_label(why->err));
	if (why->expected[0] != '\0')
		put_field(line, "expected", why->expected);
	if (why->got[0] != '\0')
		put_field(line, "got", why->got);
	if (why->fix[0] != '\0')
		put_field(line, "fix", why->fix);
	put_byte(line, '}');
}

/* "": there is none. */
static const char *reason_of(const struct why *why, char *out, size_t size)
{
	why_format(why, out, size);
	return out[0] != '\0' || why->err == ERR_NONE ? out : err_text(why->err);
}

void log_why(enum log_level level, const char *component, const char *what, const struct why *why)
{
	char room[sizeof *why + 32];
	if (!log_enabled(level) && !is_tapped(component))
		return;
	const char *reason = reason_of(why, room, sizeof room), *colon = reason[0] != '\0' ? ": " : "";
	if (is_tapped(component)) {
		char text[TEXT_MAX];
		(void)snprintf(text, sizeof text, "%s%s%s", what, colon, reason);
		tap.on_line(tap.arg, text);
	}
	if (!log_enabled(level))
		return;
	struct line line = {.len = 0};
	if (atomic_load_explicit(&is_json, memory_order_relaxed)) {
		put_json(&line, level, component, what);
		put_why_json(&line, why);
	} else {
		put_plain(&line, level, component, what);
		put(&line, colon);
		put(&line, reason);
	}
	flush(&line);
}

/* --- the output --- */

static size_t gap_line(uint64_t num, char out[LINE_OUT_MAX])
{
	struct line line;
	char text[128];
	snprintf(text, sizeof text, "%" PRIu64 " lines of this log were dropped here: the reader was too slow", num);
	put_whole(&line, LOG_LEVEL_WARNING, "log", text);
	line.bytes[line.len++] = '\n';
	memcpy(out, line.bytes, line.len);
	return line.len;
}

/* Any other descriptor that became number 2 would receive every log line. */
static void fill_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			CHECK(open("/dev/null", O_RDWR) == fd); /* inherited by children, as all standard descriptors */
}

void log_open(const char *name)
{
	CHECK(atomic_load_explicit(&sink, memory_order_relaxed) == NULL);
	fill_standard_descriptors();
	atomic_store_explicit(&program, name, memory_order_relaxed);
	atomic_store_explicit(&sink, line_out_new(STDERR_FILENO, gap_line), memory_order_release);
}

void log_reopen(void)
{
	struct line_out *before = atomic_load_explicit(&sink, memory_order_relaxed);
	CHECK(before != NULL);
	atomic_store_explicit(&sink, line_out_new(STDERR_FILENO, gap_line), memory_order_release);
	line_out_free(before);
}

uint64_t log_num_lost(void)
{
	const struct line_out *out = atomic_load_explicit(&sink, memory_order_acquire);
	return out == NULL ? 0 : line_out_num_lost(out);
}
