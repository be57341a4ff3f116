#include "base/core/mem.h"
#include "sidecar/report/pages.h"

static void put(json_t *entry, const char *name, const char *text)
{
	if (text[0] != '\0')
		json_object_set_new(entry, name, page_text(text));
}

static json_t *one(const struct failure *failure)
{
	json_t *entry = json_object();
	put(entry, "what", failure->what);
	put(entry, "direction", failure->direction);
	put(entry, "reason", failure->reason);
	put(entry, "error", err_label(failure->detail.err));
	put(entry, "expected", failure->detail.expected);
	put(entry, "got", failure->detail.got);
	put(entry, "fix", failure->detail.fix);
	json_object_set_new(entry, "remote", page_addr(&failure->remote));
	json_object_set_new(entry, "destination", page_addr(&failure->destination));
	json_object_set_new(entry, "times", json_integer((json_int_t)failure->num));
	json_object_set_new(entry, "first", page_time_ms(failure->first_wall_ms));
	json_object_set_new(entry, "last", page_time_ms(failure->last_wall_ms));
	return entry;
}

json_t *page_why(struct failures *failures)
{
	_cleanup_(mem_freep) struct failure *last = mem_calloc(failures_max(failures), sizeof(struct failure));
	size_t num = failures_copy(failures, last, failures_max(failures));
	json_t *list = json_array();
	for (size_t i = 0; i < num; i++)
		json_array_append_new(list, one(&last[i]));
	return json_pack("{s:o, s:I}", "failures", list, "num_left_out", (json_int_t)failures_num_left_out(failures));
}
