/* Builds one JSON object on one line in the caller's buffer: for the access log, where a tree of values would be too
 * slow. If the line does not fit, json_line_close() fails; a partial line is never valid. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_line { /* caller's storage */
	char *out;
	size_t cap, len;
	size_t max_text; /* longer texts are truncated and end in "..." */
	bool is_full, has_member;
};

void json_line_open(struct json_line *line, char *out, size_t cap, size_t max_text);
void json_line_text(struct json_line *line, const char *name, const char *text); /* NULL: no member is written */
void json_line_number(struct json_line *line, const char *name, uint64_t number);
void json_line_bool(struct json_line *line, const char *name, bool value);
void json_line_object(
	struct json_line *line, const char *name); /* the next members belong to it until json_line_object_end() */
void json_line_object_end(struct json_line *line);
bool json_line_close(struct json_line *line); /* adds a newline, no NUL; false: the line does not fit */
