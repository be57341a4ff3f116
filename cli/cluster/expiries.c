#include "cli/cluster/expiries.h"
#include "base/core/mem.h"
#include "base/core/number.h"
#include "base/settings/settings.h"
#include "certs/expiry.h"
#include "cli/show.h"
#include <stdio.h>
#include <string.h>

#define END           "\nhandfast_control_certificate_expiry_timestamp_seconds{"
#define START         "\nhandfast_control_certificate_start_timestamp_seconds{"
#define WITHIN_MAX_MS (3650ull * 86400 * 1000)

enum { DIGITS_MAX = 12, KIND_MAX = 64 };

int64_t expiries_within_s(struct command_line *line)
{
	uint64_t within_ms = 0;
	const char *text = command_line_value(line, "fail-if-expires-within");
	if (text == NULL)
		return 0;
	if (duration_parse(span_of_str(text), &within_ms) == ERR_NONE && within_ms >= 1000 &&
		within_ms <= WITHIN_MAX_MS)
		return (int64_t)(within_ms / 1000);
	command_line_error(line, "--fail-if-expires-within", "a duration such as 12h or 30d, at most 3650d", text);
	return 0;
}

bool expiries_is_ending(const char *kind, int64_t from_s, int64_t to_s, int64_t within_s, int64_t now_s)
{
	return to_s - now_s < cert_expiry_margin_s(kind, from_s, to_s, within_s);
}

/* The number behind "} " of a row; 0: none. */
static int64_t value_of(const char *labels_end)
{
	if (labels_end[0] != '}' || labels_end[1] != ' ')
		return 0;
	struct span rest = span_of(labels_end + 2, strnlen(labels_end + 2, DIGITS_MAX));
	return (int64_t)number_take(&rest, INT64_MAX);
}

/* The start of the certificate with these labels; 0: not known. */
static int64_t start_of(const char *metrics, struct span labels)
{
	_cleanup_(mem_freep) char *prefix = mem_printf(START "%.*s}", (int)labels.len, (const char *)labels.ptr);
	const char *row = strstr(metrics, prefix);
	return row == NULL ? 0 : value_of(row + strlen(prefix) - 1);
}

/* The value of the label kind; "": it has none. */
static void kind_of(struct span labels, char out[KIND_MAX])
{
	static const char label[] = "kind=\"";
	const char *text = (const char *)labels.ptr, *at = memmem(text, labels.len, label, sizeof label - 1);
	const char *value = at == NULL ? text : at + sizeof label - 1;
	const char *end = at == NULL ? value : memchr(value, '"', (size_t)(text + labels.len - value));
	snprintf(out, KIND_MAX, "%.*s", end == NULL ? 0 : (int)(end - value), value);
}

static void wrong(struct findings *findings, const char *whose, struct span labels, int64_t to_s, int64_t now_s)
{
	char until[DATE_TEXT_MAX];
	struct why why;
	(void)why_set(&why, ERR_EXPIRED, "a certificate that does not end so soon",
		"a root: `handfast ca status`, `handfast ca rotate`; another is renewed by itself: see the control "
		"plane's log",
		"%s: the one with %.*s %s %s", whose, (int)labels.len, (const char *)labels.ptr,
		to_s > now_s ? "expires at" : "has expired at", (show_time(to_s * 1000, until), until));
	findings_wrong(findings, "certificate-expiry", &why);
}

void check_expiries(struct findings *findings, const char *whose, const char *metrics, int64_t within_s, int64_t now_s)
{
	unsigned num = 0, num_ending = 0;
	for (const char *at = strstr(metrics, END); at != NULL; at = strstr(at + 1, END)) {
		const char *labels = at + sizeof END - 1, *end = strchr(labels, '}');
		if (end == NULL)
			break;
		struct span name = span_of(labels, (size_t)(end - labels));
		int64_t to_s = value_of(end);
		char kind[KIND_MAX];
		num++;
		kind_of(name, kind);
		if (!expiries_is_ending(kind, start_of(metrics, name), to_s, within_s, now_s))
			continue;
		num_ending++;
		wrong(findings, whose, name, to_s, now_s);
	}
	if (num > 0 && num_ending == 0)
		findings_well(findings, "certificate-expiry", "%s: none of %u certificates ends so soon", whose, num);
}
