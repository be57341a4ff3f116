#include "control/serve/page_seen.h"
#include "control/serve/messages.h"

enum { SEEN_MAX = 2000, PORTS_MAX = 2000 }; /* rows of a page */

struct gathering {
	json_t *seen, *ports;
	const char *id; /* of the sidecar whose report is read */
	json_int_t num_reports;
};

/* Bytes of a sidecar: what is no text is left out. */
static json_t *text_of(struct span text)
{
	json_t *value = json_stringn(text.len == 0 ? "" : (const char *)text.ptr, text.len);
	return value != NULL ? value : json_string("");
}

static void add_seen(void *arg, const struct seen_peer *seen)
{
	struct gathering *all = arg;
	char text[ADDR_TEXT_MAX];
	if (json_array_size(all->seen) >= SEEN_MAX)
		return;
	json_array_append_new(all->seen,
		json_pack("{s:s, s:o, s:o, s:i, s:b, s:b, s:o, s:o, s:o, s:I, s:I, s:I}", "reporter", all->id, "peer",
			text_of(seen->id), "ip", json_string(ip_addr_format(&seen->address.ip, text)), "port",
			(int)seen->address.port, "outbound", seen->is_outbound, "encrypted", seen->is_encrypted,
			"reason", text_of(seen->reason), "detail", text_of(seen->detail), "fix", text_of(seen->fix),
			"num", (json_int_t)seen->num, "first_ms", (json_int_t)seen->first_ms, "last_ms",
			(json_int_t)seen->last_ms));
}

static void add_port(void *arg, uint16_t port, bool plaintext)
{
	struct gathering *all = arg;
	if (json_array_size(all->ports) < PORTS_MAX)
		json_array_append_new(all->ports,
			json_pack("{s:s, s:i, s:b}", "id", all->id, "port", (int)port, "plaintext", plaintext));
}

static void add_report(void *arg, const struct identity_view *view)
{
	struct gathering *all = arg;
	all->id = view->sidecar->id.text;
	if (view->report.len > 0)
		all->num_reports += identity_report_each(view->report, add_seen, add_port, all);
}

void page_seen_add(const struct serve *serve, json_t *page)
{
	struct gathering all = {.seen = json_array(), .ports = json_array()};
	identity_each(serve, add_report, &all);
	json_object_set_new(page, "seen", all.seen);
	json_object_set_new(page, "ports", all.ports);
	json_object_set_new(page, "num_reports", json_integer(all.num_reports));
}
