#include "sidecar/report/access_log.h"

#include "base/core/check.h"
#include "base/core/clock.h"
#include "base/core/date.h"
#include "base/core/line_out.h"
#include "base/core/log_limit.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "sidecar/report/json_line.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { SHORT_TEXT = 300 };

struct access_log {
	enum access_log_mode mode;
	unsigned one_in;
	struct line_out *out;
	atomic_uint num_seen;
	pthread_mutex_t lock; /* of `limit`; workers take it for failures only */
	struct log_limit *limit;
};

static void put_time(struct json_line *line, const char *name, int64_t wall_ms)
{
	char text[DATE_TEXT_MAX];
	json_line_text(line, name, date_format_ms(wall_ms, text));
}

/* The line that is written in place of lost lines. */
static size_t gap_line(uint64_t num, char out[LINE_OUT_MAX])
{
	struct json_line line;
	json_line_open(&line, out, LINE_OUT_MAX, SHORT_TEXT);
	put_time(&line, "time", clock_system.wall_ms(&clock_system));
	json_line_text(&line, "reason", "lines_lost");
	json_line_number(&line, "lost_lines", num);
	CHECK(json_line_close(&line));
	return line.len;
}

struct access_log *access_log_new(enum access_log_mode mode, unsigned one_in, int fd)
{
	struct access_log *log = mem_new(struct access_log);
	log->mode = mode;
	log->one_in = one_in == 0 ? 1 : one_in;
	log->out = line_out_new(fd, gap_line);
	log->limit = log_limit_new(random_u64());
	CHECK(pthread_mutex_init(&log->lock, NULL) == 0);
	return log;
}

void access_log_free(struct access_log *log)
{
	if (log == NULL)
		return;
	line_out_free(log->out);
	log_limit_free(log->limit);
	CHECK(pthread_mutex_destroy(&log->lock) == 0);
	mem_free(log);
}

uint64_t access_log_num_lost(const struct access_log *log)
{
	return line_out_num_lost(log->out);
}

uint64_t access_log_num_suppressed(struct access_log *log)
{
	CHECK(pthread_mutex_lock(&log->lock) == 0);
	uint64_t num = log_limit_num_suppressed(log->limit);
	CHECK(pthread_mutex_unlock(&log->lock) == 0);
	return num;
}

/* The key of the limit: the caller's identity, the caller's address if it has none, or the destination of an outbound
 * connection. */
static struct share_key key_of(const struct access_record *record, const char **out_who, char text[ADDR_TEXT_MAX])
{
	bool is_outbound = strcmp(record->direction, "outbound") == 0;
	const struct ip_addr *ip = is_outbound ? &record->destination.ip : &record->source.ip;
	if (!is_outbound && record->source_id != NULL) {
		*out_who = record->source_id->text;
		return share_key_of_bytes(span_of_str(record->source_id->text));
	}
	*out_who = ip_addr_format(ip, text);
	return share_key_of_prefix64(ip);
}

static bool is_within_limit(struct access_log *log, const struct access_record *record)
{
	char text[ADDR_TEXT_MAX];
	const char *who;
	struct share_key key = key_of(record, &who, text);
	CHECK(pthread_mutex_lock(&log->lock) == 0);
	bool is_allowed =
		log_limit_take(log->limit, &key, record->reason, who, record->opened_ms + record->duration_ms);
	CHECK(pthread_mutex_unlock(&log->lock) == 0);
	return is_allowed;
}

static bool is_logged(struct access_log *log, const struct access_record *record)
{
	switch (log->mode) {
	case ACCESS_LOG_OFF:
		return false;
	case ACCESS_LOG_FAILURES:
		return record->failed && is_within_limit(log, record);
	case ACCESS_LOG_ALL:
		return true;
	case ACCESS_LOG_SAMPLED:
		if (record->failed)
			return is_within_limit(log, record);
		return atomic_fetch_add_explicit(&log->num_seen, 1, memory_order_relaxed) % log->one_in == 0;
	}
	CHECK_UNREACHABLE();
}

/* --- a value of each type of access_log_fields.def --- */

static void put_text(struct json_line *line, const char *name, const char *text)
{
	json_line_text(line, name, text);
}

static void put_bool(struct json_line *line, const char *name, bool value)
{
	json_line_bool(line, name, value);
}

static void put_number(struct json_line *line, const char *name, uint64_t value)
{
	json_line_number(line, name, value);
}

static void put_addr(struct json_line *line, const char *name, struct addr addr)
{
	char text[ADDR_TEXT_MAX];
	if (addr.ip.family != 0)
		json_line_text(line, name, addr_format(&addr, text));
}

static void put_id(struct json_line *line, const char *name, const struct spiffe_id *id)
{
	json_line_text(line, name, id == NULL ? NULL : id->text);
}

static void put_detail(struct json_line *line, const char *name, const struct why *why)
{
	if (why == NULL || why->err == ERR_NONE)
		return;
	json_line_object(line, name);
#define ACCESS_FIELD(key, put, member, help)
#define ACCESS_DETAIL_FIELD(key, value, help) json_line_text(line, key, value);
#include "sidecar/report/access_log_fields.def"
#undef ACCESS_FIELD
#undef ACCESS_DETAIL_FIELD
	json_line_object_end(line);
}

static bool render(struct json_line *line, const struct access_record *record)
{
#define ACCESS_FIELD(key, put, member, help) put(line, key, record->member);
#define ACCESS_DETAIL_FIELD(key, value, help)
#include "sidecar/report/access_log_fields.def"
#undef ACCESS_FIELD
#undef ACCESS_DETAIL_FIELD
	return json_line_close(line);
}

/* If a line is too long, which is rare, all of its texts are truncated. */
static size_t render_within(const struct access_record *record, char out[LINE_OUT_MAX])
{
	struct json_line line;
	json_line_open(&line, out, LINE_OUT_MAX, LINE_OUT_MAX);
	if (render(&line, record))
		return line.len;
	json_line_open(&line, out, LINE_OUT_MAX, SHORT_TEXT);
	CHECK(render(&line, record)); /* nine texts of 300 bytes and the other members fit */
	return line.len;
}

void access_log_write(struct access_log *log, const struct access_record *record)
{
	char line[LINE_OUT_MAX];
	if (is_logged(log, record))
		line_out_write(log->out, line, render_within(record, line));
}

/* The line that is written in place of suppressed lines. */
static void on_suppressed(void *arg, const struct log_suppressed *suppressed)
{
	struct access_log *log = arg;
	char bytes[LINE_OUT_MAX];
	struct json_line line;
	json_line_open(&line, bytes, LINE_OUT_MAX, SHORT_TEXT);
	put_time(&line, "time", clock_system.wall_ms(&clock_system));
	json_line_text(&line, "reason", "lines_suppressed");
	json_line_text(&line, "suppressed_reason", suppressed->reason);
	json_line_text(&line, "of", suppressed->who);
	json_line_number(&line, "suppressed_lines", suppressed->num);
	json_line_number(&line, "duration_ms", suppressed->during_ms);
	CHECK(json_line_close(&line));
	line_out_write(log->out, bytes, line.len);
}

void access_log_sweep(struct access_log *log, uint64_t now_ms)
{
	CHECK(pthread_mutex_lock(&log->lock) == 0);
	log_limit_sweep(log->limit, now_ms, on_suppressed, log);
	CHECK(pthread_mutex_unlock(&log->lock) == 0);
}
