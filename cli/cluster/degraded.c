#include "cli/cluster/degraded.h"
#include "base/core/check.h"
#include "base/core/escape.h"
#include "base/core/mem.h"
#include "cli/cluster/checks.h"
#include <stdio.h>
#include <string.h>

enum {
	CONDITIONS_MAX = 16 /* of a namespace: each name is a sidecar's own word */,
	CONDITION_MAX = 64,
	DETAIL_MAX = 160
};

struct degraded {
	json_t *spaces; /* {namespace: {condition: {"num": 2, "pod": the first one, "detail": its own}}} */
};

struct degraded *degraded_new(void)
{
	struct degraded *degraded = mem_new(struct degraded);
	degraded->spaces = json_object();
	return degraded;
}

void degraded_free(struct degraded *degraded)
{
	if (degraded == NULL)
		return;
	json_decref(degraded->spaces);
	mem_free(degraded);
}

static void note(json_t *of_space, const char *pod, const json_t *condition)
{
	char name[CONDITION_MAX], detail[DETAIL_MAX];
	(void)escape_ascii(span_of_str(checks_text(condition, "name")), name, sizeof name);
	(void)escape_ascii(span_of_str(checks_text(condition, "detail")), detail, sizeof detail);
	if (json_object_get(of_space, name) == NULL && json_object_size(of_space) == CONDITIONS_MAX)
		return;
	json_t *fresh = json_pack("{s:i, s:s, s:s}", "num", 0, "pod", pod, "detail", detail);
	json_t *num = json_object_get(checks_member(of_space, name, fresh), "num");
	CHECK(json_integer_set(num, json_integer_value(num) + 1) == 0);
}

void degraded_add(struct degraded *degraded, const char *namespace_, const char *pod, const json_t *page)
{
	const json_t *conditions = json_object_get(page, "conditions");
	json_t *of_space = checks_member(degraded->spaces, namespace_, json_object());
	for (size_t i = 0; i < json_array_size(conditions); i++) {
		const json_t *condition = json_array_get(conditions, i);
		if (strcmp(checks_text(condition, "level"), "degraded") == 0)
			note(of_space, pod, condition);
	}
}

static void report(const char *space, const char *condition, const json_t *noted, struct findings *findings)
{
	char fix[192];
	struct why why;
	long long num = json_integer_value(json_object_get(noted, "num"));
	snprintf(fix, sizeof fix,
		"`handfast check pod/NAME -n %.63s` has the fix; where the control plane was installed anew, restart "
		"the pods",
		space);
	(void)why_set(&why, ERR_UNAVAILABLE, "sidecars that nothing is wrong with", fix,
		"%s: %lld %s of namespace %.63s, such as %.63s (%s)", condition, num, num == 1 ? "sidecar" : "sidecars",
		space, checks_text(noted, "pod"), checks_text(noted, "detail"));
	findings_wrong(findings, "sidecar-degraded", &why);
}

void degraded_report(const struct degraded *degraded, struct findings *findings)
{
	const char *space, *condition;
	json_t *of_space, *noted;
	json_object_foreach(degraded->spaces, space, of_space)
	{
		json_object_foreach(of_space, condition, noted)
		{
			report(space, condition, noted, findings);
		}
	}
}
