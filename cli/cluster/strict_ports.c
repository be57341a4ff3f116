#include "cli/cluster/strict_ports.h"
#include "base/core/buf.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "cli/cluster/checks.h"
#include <stdio.h>

enum { PORTS_MAX = 64 /* of a namespace */, ROW_MAX = 900 };
enum seen { READY, PLAINTEXT, STRICT, NUM_SEEN };

struct strict_ports {
	json_t *spaces;   /* {namespace: {port: [sidecars without plaintext, with, where it is strict]}} */
	json_t *left_out; /* {namespace: {port: true}} of more ports, or {namespace: {}} */
};

struct strict_ports *strict_ports_new(void)
{
	struct strict_ports *ports = mem_new(struct strict_ports);
	ports->spaces = json_object();
	ports->left_out = json_object();
	return ports;
}

void strict_ports_free(struct strict_ports *ports)
{
	if (ports == NULL)
		return;
	json_decref(ports->spaces);
	json_decref(ports->left_out);
	mem_free(ports);
}

static void count(json_t *of_space, json_t *left_out, const json_t *list, enum seen seen)
{
	char text[8];
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_int_t port = json_integer_value(json_array_get(list, i));
		if (port < 1 || port > UINT16_MAX)
			continue;
		snprintf(text, sizeof text, "%d", (int)port);
		if (json_object_get(of_space, text) == NULL && json_object_size(of_space) == PORTS_MAX) {
			json_object_set_new(left_out, text, json_true());
			continue;
		}
		json_t *number = json_array_get(checks_member(of_space, text, json_pack("[i, i, i]", 0, 0, 0)), seen);
		CHECK(json_integer_set(number, json_integer_value(number) + 1) == 0);
	}
}

void strict_ports_add(struct strict_ports *ports, const char *namespace_, const json_t *page)
{
	const json_t *lists = json_object_get(page, "inbound_ports");
	static const char *const keys[] = {
		[READY] = "ready_for_strict", [PLAINTEXT] = "plaintext_seen", [STRICT] = "strict"};
	json_t *of_space = checks_member(ports->spaces, namespace_, json_object());
	json_t *left_out = checks_member(ports->left_out, namespace_, json_object());
	for (unsigned seen = 0; seen < NUM_SEEN; seen++)
		count(of_space, left_out, json_object_get(lists, keys[seen]), seen);
}

static long long of(const json_t *counts, enum seen seen)
{
	return json_integer_value(json_array_get(counts, seen));
}

/* What a port is at all of them: strict where no other has it in another mode. */
static enum seen kind_of(const json_t *counts)
{
	if (of(counts, PLAINTEXT) > 0)
		return PLAINTEXT;
	return of(counts, READY) > 0 ? READY : STRICT;
}

/* "8080, 9090 (at 1 of 2)"; returns how many have no room. */
static unsigned list_of(json_t *of_space, enum seen kind, struct buf *out)
{
	const char *port;
	json_t *counts;
	unsigned num_left_out = 0;
	json_object_foreach(of_space, port, counts)
	{
		char part[80] = "";
		if (kind_of(counts) != kind)
			continue;
		if (kind == PLAINTEXT)
			snprintf(part, sizeof part, " (at %lld of %lld)", of(counts, PLAINTEXT),
				of(counts, PLAINTEXT) + of(counts, READY) + of(counts, STRICT));
		if (num_left_out > 0 ||
			buf_printf(out, "%s%s%s", buf_len(out) == 0 ? "" : ", ", port, part) != ERR_NONE)
			num_left_out++;
	}
	return num_left_out;
}

static void report_kind(const char *space, json_t *of_space, enum seen kind, struct findings *findings)
{
	static const struct {
		const char *before, *after;
	} texts[] = {
		[READY] = {"connections from the mesh alone, ready for strict", ""},
		[PLAINTEXT] = {"plaintext was seen, strict would refuse it",
			"; with the annotation handfast.dev/access-log: all the access log names the callers"},
		[STRICT] = {"strict already", ""},
	};
	_cleanup_(buf_done) struct buf list = BUF_INIT(ROW_MAX);
	char more[40] = "";
	unsigned num_left_out = list_of(of_space, kind, &list);
	if (num_left_out > 0)
		snprintf(more, sizeof more, " and %u further ports", num_left_out);
	if (buf_len(&list) > 0)
		findings_well(findings, "strict", "namespace %s: %s: %s%s%s", space, texts[kind].before,
			buf_cstr(&list), more, texts[kind].after);
}

static void report_space(
	const struct strict_ports *ports, const char *space, json_t *of_space, struct findings *findings)
{
	for (unsigned kind = 0; kind < NUM_SEEN; kind++)
		report_kind(space, of_space, kind, findings);
	size_t num_left_out = json_object_size(json_object_get(ports->left_out, space));
	if (num_left_out > 0)
		findings_well(findings, "strict",
			"namespace %s: %zu further ports had connections; `handfast check pod/NAME` lists those of one "
			"pod",
			space, num_left_out);
}

void strict_ports_report(
	const struct strict_ports *ports, unsigned num_asked, unsigned num_all, struct findings *findings)
{
	const char *space;
	json_t *of_space;
	json_object_foreach(ports->spaces, space, of_space)
	{
		report_space(ports, space, of_space, findings);
	}
	findings_well(findings, "strict", "%u of %u sidecars were asked which ports had connections since their start",
		num_asked, num_all);
}
