#include "sidecar/report/json_line.h"
#include "base/core/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void put(struct json_line *line, const char *bytes, size_t len)
{
	CHECK(line->len <= line->cap);
	if (line->is_full || len > line->cap - line->len) {
		line->is_full = true;
		return;
	}
	memcpy(line->out + line->len, bytes, len);
	line->len += len;
}

static void put_str(struct json_line *line, const char *text)
{
	put(line, text, strlen(text));
}

void json_line_open(struct json_line *line, char *out, size_t cap, size_t max_text)
{
	*line = (struct json_line){.out = out, .cap = cap, .max_text = max_text};
	put_str(line, "{");
}

static void put_name(struct json_line *line, const char *name)
{
	put_str(line, line->has_member ? ",\"" : "\"");
	put_str(line, name);
	put_str(line, "\":");
	line->has_member = true;
}

/* One byte as JSON text. Bytes other than printable ASCII are escaped, so that a log cannot control a terminal. */
static size_t escape_byte(uint8_t byte, char out[8])
{
	if (byte == '"' || byte == '\\') {
		out[0] = '\\';
		out[1] = (char)byte;
		return 2;
	}
	if (byte >= 0x20 && byte < 0x7f) {
		out[0] = (char)byte;
		return 1;
	}
	return (size_t)snprintf(out, 8, "\\\\x%02x", byte);
}

void json_line_text(struct json_line *line, const char *name, const char *text)
{
	if (text == NULL)
		return;
	put_name(line, name);
	put_str(line, "\"");
	size_t spent = 0;
	for (; *text != '\0' && spent < line->max_text; text++) {
		char escaped[8];
		size_t len = escape_byte((uint8_t)*text, escaped);
		put(line, escaped, len);
		spent += len;
	}
	put_str(line, *text == '\0' ? "\"" : "...\"");
}

void json_line_number(struct json_line *line, const char *name, uint64_t number)
{
	char text[24];
	snprintf(text, sizeof(text), "%" PRIu64, number);
	put_name(line, name);
	put_str(line, text);
}

void json_line_bool(struct json_line *line, const char *name, bool value)
{
	put_name(line, name);
	put_str(line, value ? "true" : "false");
}

void json_line_object(struct json_line *line, const char *name)
{
	put_name(line, name);
	put_str(line, "{");
	line->has_member = false;
}

void json_line_object_end(struct json_line *line)
{
	put_str(line, "}");
	line->has_member = true;
}

bool json_line_close(struct json_line *line)
{
	put_str(line, "}\n");
	return !line->is_full;
}
