#include "base/core/check.h"
#include "sidecar/report/pages.h"

static const char *level_text(enum page_level level)
{
	switch (level) {
	case PAGE_OK:
		return "ok";
	case PAGE_DEGRADED:
		return "degraded";
	case PAGE_FAILED:
		return "failed";
	}
	CHECK_UNREACHABLE();
}

bool page_is_ready(const struct page_condition *conditions, size_t num_conditions)
{
	for (size_t i = 0; i < num_conditions; i++)
		if (conditions[i].level == PAGE_FAILED)
			return false;
	return true;
}

static json_t *one(const struct page_condition *condition)
{
	return json_pack("{s:o, s:s, s:o*, s:o*}", "name", page_text(condition->name), "level",
		level_text(condition->level), "detail", condition->detail == NULL ? NULL : page_text(condition->detail),
		"fix", condition->fix == NULL ? NULL : page_text(condition->fix));
}

struct port_lists {
	page_is_strict_fn *is_strict;
	const void *arg;
	json_t *ready_for_strict, *plaintext, *strict;
};

static void sort_in(void *arg, uint16_t port, bool mesh, bool plaintext)
{
	(void)mesh; /* true for every port without plaintext, since only used ports are listed */
	struct port_lists *lists = arg;
	json_t *list = lists->is_strict(lists->arg, port) ? lists->strict
		       : plaintext                        ? lists->plaintext
							  : lists->ready_for_strict;
	json_array_append_new(list, json_integer(port));
}

json_t *page_check(const struct page_condition *conditions, size_t num_conditions, const struct port_use *ports,
	page_is_strict_fn *is_strict, const void *arg)
{
	struct port_lists lists = {is_strict, arg, json_array(), json_array(), json_array()};
	port_use_each(ports, sort_in, &lists);
	json_t *list = json_array();
	for (size_t i = 0; i < num_conditions; i++)
		json_array_append_new(list, one(&conditions[i]));
	return json_pack("{s:b, s:o, s:{s:o, s:o, s:o}}", "ready", page_is_ready(conditions, num_conditions),
		"conditions", list, "inbound_ports", "ready_for_strict", lists.ready_for_strict, "plaintext_seen",
		lists.plaintext, "strict", lists.strict);
}
