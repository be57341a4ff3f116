/* One JSON object on one line, built where it is written to: for the access log, which is too hot for a tree of values.
 * What does not fit makes the whole line fail; nothing is ever half there. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_line { /* caller's storage */
	char *out;
	size_t cap, len;
	size_t max_text; /* longer texts are cut and end in "..." */
	bool is_full, has_member;
};

void json_line_open(struct json_line *line, char *out, size_t cap, size_t max_text);
void json_line_text(struct json_line *line, const char *name, const char *text); /* NULL: the member is left out */
void json_line_number(struct json_line *line, const char *name, uint64_t number);
void json_line_bool(struct json_line *line, const char *name, bool value);
void json_line_object(struct json_line *line, const char *name); /* members go into it until it is ended */
void json_line_object_end(struct json_line *line);
bool json_line_close(struct json_line *line); /* with a newline, without a NUL; false: it does not fit */
