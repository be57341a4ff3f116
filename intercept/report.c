#include "intercept/report.h"
#include "base/core/check.h"
#include "base/json/json_put.h"
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *state_name(enum finding_state state)
{
	switch (state) {
	case FINDING_OK:
		return "ok";
	case FINDING_FAILED:
		return "failed";
	case FINDING_UNPROVEN:
		return "unproven";
	case FINDING_NOTE:
		return "note";
	}
	CHECK_UNREACHABLE();
}

void report_add(struct report *report, enum finding_state state, const char *point, const char *format, ...)
{
	CHECK(report->num < REPORT_FINDINGS_MAX && point != NULL);
	struct finding *finding = &report->findings[report->num++];
	va_list args;
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
	finding->state = state;
	finding->point = point;
}

void report_add_why(struct report *report, const char *point, const struct why *why)
{
	char line[512];
	report_add(report, FINDING_FAILED, point, "%s", why_format(why, line, sizeof(line)));
}

bool report_has(const struct report *report, enum finding_state state)
{
	for (unsigned i = 0; i < report->num; i++) {
		if (report->findings[i].state == state)
			return true;
	}
	return false;
}

static enum err render_text(const struct report *report, struct buf *out)
{
	for (unsigned i = 0; i < report->num; i++) {
		const struct finding *finding = &report->findings[i];
		RETURN_IF_ERR(
			buf_printf(out, "%-8s %s: %s\n", state_name(finding->state), finding->point, finding->text));
	}
	return ERR_NONE;
}

static void json_release(json_t **json)
{
	json_decref(*json);
}

static enum err dump(const json_t *whole, struct buf *out)
{
	RETURN_IF_ERR(buf_append_json(out, whole, JSON_COMPACT));
	return buf_append_str(out, "\n");
}

static enum err render_json(const struct report *report, const char *command, struct buf *out)
{
	_cleanup_(json_release) json_t *findings = json_array();
	for (unsigned i = 0; i < report->num; i++) {
		const struct finding *finding = &report->findings[i];
		json_t *item = json_pack("{s:s, s:s, s:s}", "point", finding->point, "state",
			state_name(finding->state), "text", finding->text);
		if (item == NULL || json_array_append_new(findings, item) != 0)
			return ERR_MALFORMED; /* a text that is not UTF-8 */
	}
	bool ok = !report_has(report, FINDING_FAILED) && !report_has(report, FINDING_UNPROVEN);
	_cleanup_(json_release) json_t *whole =
		json_pack("{s:s, s:b, s:O}", "command", command, "ok", ok, "findings", findings);
	return dump(whole, out);
}

enum err report_render(const struct report *report, const char *command, bool json, struct buf *out)
{
	return json ? render_json(report, command, out) : render_text(report, out);
}

enum err report_render_plan(const char *command, struct span nft, const char *lo, bool json, struct buf *out)
{
	if (!json) {
		RETURN_IF_ERR(buf_append(out, nft));
		return buf_printf(out, "# and on lo: %s\n", lo);
	}
	_cleanup_(json_release) json_t *whole = json_pack("{s:s, s:b, s:s%, s:s}", "command", command, "dry_run", 1,
		"nft", (const char *)nft.ptr, nft.len, "lo", lo);
	return dump(whole, out);
}
