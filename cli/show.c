#include "cli/show.h"
#include "base/core/escape.h"
#include "base/core/hex.h"
#include <stdio.h>
#include <time.h>

void show_time(int64_t ms, char out[32])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm parts;
	if (ms == 0 || gmtime_r(&seconds, &parts) == NULL)
		snprintf(out, 32, "-");
	else
		strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

void show_hex(struct span bytes, char *out, size_t cap)
{
	size_t num = (cap - 1) / 2;
	hex_format(span_of(bytes.ptr, bytes.len < num ? bytes.len : num), out);
}

void show_json(json_t *object)
{
	if (object != NULL && json_dumpf(object, stdout, JSON_INDENT(2)) == 0)
		putchar('\n');
	json_decref(object);
}

const char *show_text(const json_t *object, const char *key, char *out, size_t cap)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);
	escape_ascii(text == NULL ? span_of(NULL, 0) : span_of(text, json_string_length(value)), out, cap);
	return out;
}
