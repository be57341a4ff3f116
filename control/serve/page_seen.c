#include "control/serve/page_seen.h"
#include "base/core/fair_rows.h"
#include "base/core/mem.h"
#include "control/serve/messages.h"

/* Rows of a page, and of one identity, whose sidecars share them (decision 096, abuse case D40). */
enum { SEEN_MAX = 2000, PORTS_MAX = 2000, IDENTITY_ROWS_MAX = 128 };
enum { TEXT_MAX = 256 }; /* bytes of JSON, which bounds the page; longer ones are cut */

struct gathering {
	struct fair_rows *seen, *ports; /* of each stream with a report */
	size_t num, at;
	json_t *seen_rows, *port_rows;
	const char *id; /* of the sidecar whose report is read */
	uint64_t seen_room, ports_room;
	json_int_t num_left_out;
};

/* Bytes of a sidecar: one that is no printable ASCII is shown as "?", and none takes more than two bytes in JSON. */
static json_t *text_of(struct span text)
{
	static const char cut[] = "...";
	char out[TEXT_MAX];
	size_t len = 0, json_len = 0;
	for (size_t i = 0; i < text.len; i++) {
		char c = '?';
		if (text.ptr[i] >= ' ' && text.ptr[i] < 0x7f)
			c = (char)text.ptr[i];
		json_len += c == '"' || c == '\\' ? 2 : 1;
		if (json_len > TEXT_MAX - sizeof cut) {
			memcpy(out + len, cut, sizeof cut - 1);
			len += sizeof cut - 1;
			break;
		}
		out[len++] = c;
	}
	return json_stringn(out, len);
}

static void add_seen(void *arg, const struct seen_peer *seen)
{
	struct gathering *all = arg;
	char text[ADDR_TEXT_MAX];
	if (all->seen_room == 0)
		return;
	all->seen_room--;
	json_array_append_new(all->seen_rows,
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
	if (all->ports_room == 0)
		return;
	all->ports_room--;
	json_array_append_new(
		all->port_rows, json_pack("{s:s, s:i, s:b}", "id", all->id, "port", (int)port, "plaintext", plaintext));
}

static void count_report(void *arg, const struct identity_view *view)
{
	struct gathering *all = arg;
	all->num_left_out += view->is_left_out;
	if (view->report.len == 0)
		return;
	all->seen[all->num] = (struct fair_rows){view->sidecar->id.text, view->num_seen, 0};
	all->ports[all->num++] = (struct fair_rows){view->sidecar->id.text, view->num_ports, 0};
}

static void add_report(void *arg, const struct identity_view *view)
{
	struct gathering *all = arg;
	if (view->report.len == 0)
		return;
	all->id = view->sidecar->id.text;
	all->seen_room = all->seen[all->at].given;
	all->ports_room = all->ports[all->at++].given;
	if (all->seen_room + all->ports_room > 0)
		(void)identity_report_each(view->report, add_seen, add_port, all);
}

/* Returns how many rows there is no room for. */
static json_t *share(struct fair_rows *rows, size_t num, uint64_t max)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < num; i++)
		sum += rows[i].wanted;
	return json_integer((json_int_t)(sum - fair_rows_share(rows, num, IDENTITY_ROWS_MAX, max)));
}

void page_seen_add(const struct serve *serve, json_t *page)
{
	_cleanup_(mem_freep) struct fair_rows *seen = mem_calloc(serve->num_streams, sizeof *seen);
	_cleanup_(mem_freep) struct fair_rows *ports = mem_calloc(serve->num_streams, sizeof *ports);
	struct gathering all = {.seen = seen, .ports = ports, .seen_rows = json_array(), .port_rows = json_array()};
	identity_each(serve, count_report, &all);
	json_object_set_new(page, "num_seen_left_out", share(seen, all.num, SEEN_MAX));
	json_object_set_new(page, "num_ports_left_out", share(ports, all.num, PORTS_MAX));
	identity_each(serve, add_report, &all);
	json_object_set_new(page, "seen", all.seen_rows);
	json_object_set_new(page, "ports", all.port_rows);
	json_object_set_new(page, "num_reports", json_integer((json_int_t)all.num));
	json_object_set_new(page, "num_reports_left_out", json_integer(all.num_left_out));
}
