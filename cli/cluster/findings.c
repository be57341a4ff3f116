#include "cli/cluster/findings.h"
#include "base/core/check.h"
#include "cli/show.h"
#include <stdarg.h>
#include <stdio.h>

enum { TEXT_MAX = 1024 };

void findings_init(struct findings *findings)
{
	*findings = (struct findings){.rows = json_array()};
}

void findings_done(struct findings *findings)
{
	json_decref(findings->rows);
	findings->rows = NULL;
}

static void add(struct findings *findings, json_t *row)
{
	int failed = json_array_append_new(findings->rows, row);
	CHECK(failed == 0);
}

static json_t *text_of(const char *text)
{
	json_t *json = json_string(text);
	return json != NULL ? json : json_string("text that is not UTF-8"); /* cut within a character */
}

void findings_well(struct findings *findings, const char *check, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list values;
	va_start(values, format);
	vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	add(findings, json_pack("{s:s, s:b, s:o}", "check", check, "well", 1, "detail", text_of(text)));
}

void findings_wrong(struct findings *findings, const char *check, const struct why *why)
{
	findings->num_wrong++;
	add(findings, json_pack("{s:s, s:b, s:o, s:o, s:o}", "check", check, "well", 0, "got", text_of(why->got),
			      "expected", text_of(why->expected), "fix", text_of(why->fix)));
}

static void print_row(const json_t *row)
{
	char check[64], detail[TEXT_MAX], expected[TEXT_MAX], fix[TEXT_MAX];
	show_text(row, "check", check, sizeof(check));
	if (json_is_true(json_object_get(row, "well"))) {
		printf("  ok     %s: %s\n", check, show_text(row, "detail", detail, sizeof(detail)));
		return;
	}
	show_text(row, "expected", expected, sizeof(expected));
	show_text(row, "fix", fix, sizeof(fix));
	printf("  wrong  %s: %s; expected: %s; fix: %s\n", check, show_text(row, "got", detail, sizeof(detail)),
		expected, fix);
}

void findings_print(const struct findings *findings, const char *of, bool as_json)
{
	if (as_json) {
		show_json(json_pack("{s:s, s:b, s:O}", "cluster", of, "well", findings->num_wrong == 0, "findings",
			findings->rows));
		return;
	}
	printf("the cluster at %s\n", of);
	for (size_t i = 0; i < json_array_size(findings->rows); i++)
		print_row(json_array_get(findings->rows, i));
	if (findings->num_wrong == 0)
		puts("all is well");
	else
		printf("%u of %zu are wrong\n", findings->num_wrong, json_array_size(findings->rows));
}
