#include "sidecar/report/access_log.h"

#include "base/core/check.h"
#include "base/core/clock.h"
#include "base/core/line_out.h"
#include "base/core/mem.h"
#include "sidecar/report/json_line.h"
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { SHORT_TEXT = 300 };

struct access_log {
	enum access_log_mode mode;
	unsigned one_in;
	struct line_out *out;
	atomic_uint num_seen;
};

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

/* In place of the lines that are missing. */
static size_t gap_line(uint64_t num, char out[LINE_OUT_MAX])
{
	struct json_line line;
	json_line_open(&line, out, LINE_OUT_MAX, SHORT_TEXT);
	put_time(&line, clock_system.wall_ms(&clock_system));
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
	return log;
}

void access_log_free(struct access_log *log)
{
	if (log == NULL)
		return;
	line_out_free(log->out);
	mem_free(log);
}

uint64_t access_log_num_lost(const struct access_log *log)
{
	return line_out_num_lost(log->out);
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
static size_t render_within(const struct access_record *record, char out[LINE_OUT_MAX])
{
	struct json_line line;
	json_line_open(&line, out, LINE_OUT_MAX, LINE_OUT_MAX);
	if (render(&line, record))
		return line.len;
	json_line_open(&line, out, LINE_OUT_MAX, SHORT_TEXT);
	CHECK(render(&line, record)); /* nine texts of 300 bytes, and the frame */
	return line.len;
}

void access_log_write(struct access_log *log, const struct access_record *record)
{
	char line[LINE_OUT_MAX];
	if (is_wanted(log, record))
		line_out_write(log->out, line, render_within(record, line));
}
