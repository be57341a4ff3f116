#include "cli/cluster/strict_ports.h"
#include "base/core/buf.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "cli/cluster/checks.h"
#include <stdio.h>

enum { PORTS_MAX = 64 /* of a namespace, in a row */, ROW_MAX = 900 };
enum seen { READY, PLAINTEXT };

struct strict_ports {
	json_t *spaces; /* {namespace: {port: [sidecars without plaintext, with]}} */
};

struct strict_ports *strict_ports_new(void)
{
	struct strict_ports *ports = mem_new(struct strict_ports);
	ports->spaces = json_object();
	return ports;
}

void strict_ports_free(struct strict_ports *ports)
{
	if (ports == NULL)
		return;
	json_decref(ports->spaces);
	mem_free(ports);
}

static void count(json_t *of_space, const json_t *list, enum seen seen)
{
	char text[8];
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_int_t port = json_integer_value(json_array_get(list, i));
		if (port < 1 || port > UINT16_MAX)
			continue;
		snprintf(text, sizeof text, "%d", (int)port);
		if (json_object_get(of_space, text) == NULL && json_object_size(of_space) == PORTS_MAX)
			continue;
		json_t *number = json_array_get(checks_member(of_space, text, json_pack("[i, i]", 0, 0)), seen);
		CHECK(json_integer_set(number, json_integer_value(number) + 1) == 0);
	}
}

void strict_ports_add(struct strict_ports *ports, const char *namespace_, const json_t *page)
{
	const json_t *lists = json_object_get(page, "inbound_ports");
	json_t *of_space = checks_member(ports->spaces, namespace_, json_object());
	count(of_space, json_object_get(lists, "ready_for_strict"), READY);
	count(of_space, json_object_get(lists, "plaintext_seen"), PLAINTEXT);
}

static long long of(const json_t *counts, enum seen seen)
{
	return json_integer_value(json_array_get(counts, seen));
}

static void report_space(const char *space, json_t *of_space, struct findings *findings)
{
	_cleanup_(buf_done) struct buf ready = BUF_INIT(ROW_MAX), plaintext = BUF_INIT(ROW_MAX);
	const char *port;
	json_t *counts;
	enum err full = ERR_NONE; /* the rest is left out */
	json_object_foreach(of_space, port, counts)
	{
		bool is_ready = of(counts, PLAINTEXT) == 0;
		struct buf *out = is_ready ? &ready : &plaintext;
		const char *comma = buf_len(out) == 0 ? "" : ", ";
		full = is_ready ? buf_printf(out, "%s%s", comma, port)
				: buf_printf(out, "%s%s (at %lld of %lld)", comma, port, of(counts, PLAINTEXT),
					  of(counts, PLAINTEXT) + of(counts, READY));
		if (full != ERR_NONE)
			break;
	}
	if (buf_len(&ready) > 0)
		findings_well(findings, "strict", "namespace %s: connections from the mesh alone, ready for strict: %s",
			space, buf_cstr(&ready));
	if (buf_len(&plaintext) > 0)
		findings_well(findings, "strict",
			"namespace %s: plaintext was seen, strict would refuse it: %s; with the annotation "
			"handfast.dev/access-log: all the access log names the callers",
			space, buf_cstr(&plaintext));
}

void strict_ports_report(
	const struct strict_ports *ports, unsigned num_asked, unsigned num_all, struct findings *findings)
{
	const char *space;
	json_t *of_space;
	json_object_foreach(ports->spaces, space, of_space)
	{
		report_space(space, of_space, findings);
	}
	findings_well(findings, "strict", "%u of %u sidecars were asked which ports had connections since their start",
		num_asked, num_all);
}
