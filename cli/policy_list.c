/* policy list: the sections of the control plane's policy, and a cluster's objects. */
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "proto/handfast/v1/operator.pb-c.h"
#include <stdio.h>

typedef Handfast__V1__PolicySection section_t;

/* "spiffe://TD/ns/shop/sa/{cart,front}" of an object for these accounts, "... and below" of a prefix. Printed part by
 * part: a policy may be for any number of accounts. */
static void print_workloads(const section_t *section)
{
	char text[300], selector[2304];
	printf("%s%s%s", show_bytes(pb_span(section->selector), selector, sizeof selector),
		section->n_accounts > 0 ? "/" : "", section->n_accounts > 1 ? "{" : "");
	for (size_t i = 0; i < section->n_accounts; i++)
		printf("%s%s", i == 0 ? "" : ",", show_bytes(pb_span(section->accounts[i]), text, sizeof text));
	puts(section->n_accounts > 1 ? "}" : section->n_accounts == 0 && section->prefix ? " and below" : "");
}

static json_t *accounts_json(const section_t *section)
{
	json_t *list = json_array();
	char text[300];
	for (size_t i = 0; i < section->n_accounts; i++)
		json_array_append_new(list, json_string(show_bytes(pb_span(section->accounts[i]), text, sizeof text)));
	return list;
}

static json_t *text_json(ProtobufCBinaryData bytes)
{
	size_t cap = 4 * bytes.len + 1; /* a program that reads it has no use for a part */
	_cleanup_(mem_freep) char *text = mem_alloc(cap);
	return bytes.len == 0 ? json_null() : json_string(show_bytes(pb_span(bytes), text, cap));
}

static json_t *section_json(const section_t *section)
{
	json_t *object = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:b}", "prefix", section->prefix, "port_modes",
		(json_int_t)section->num_port_modes, "rules", (json_int_t)section->num_rules, "dry_run_rules",
		(json_int_t)section->num_dry_run_rules, "sidecars", (json_int_t)section->num_sidecars,
		"sidecars_in_force", (json_int_t)section->num_in_force, "accepted", section->refusal.len == 0);
	char selector[2304];
	json_object_set_new(
		object, "selector", json_string(show_bytes(pb_span(section->selector), selector, sizeof selector)));
	json_object_set_new(object, "source", json_string(section->object.len == 0 ? "settings" : "object"));
	json_object_set_new(object, "object", text_json(section->object));
	json_object_set_new(object, "accounts", accounts_json(section));
	json_object_set_new(object, "message", text_json(section->refusal));
	json_object_set_new(object, "mode", text_json(section->mode));
	return object;
}

static void print_section(const section_t *section)
{
	char mode[32], source[400], refusal[800];
	show_bytes(pb_span(section->mode), mode, sizeof mode);
	show_bytes(pb_span(section->object), source, sizeof source);
	printf("%-11s %5u %7u %8u %8u  %-20s ", mode[0] == '\0' ? "-" : mode, section->num_rules,
		section->num_dry_run_rules, section->num_sidecars, section->num_in_force,
		source[0] == '\0' ? "settings" : source);
	print_workloads(section);
	if (section->refusal.len > 0)
		printf("    not accepted: %s\n", show_bytes(pb_span(section->refusal), refusal, sizeof refusal));
}

enum cli_exit command_policy_list(struct command_line *line)
{
	_cleanup_(answer_done) struct answer answer = {0};
	char mode[32];
	enum err err = call(line, "PolicyList", NULL, &handfast__v1__policy_list_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	const Handfast__V1__PolicyListResponse *list = (const Handfast__V1__PolicyListResponse *)answer.message;
	show_bytes(pb_span(list->default_mode), mode, sizeof mode);
	if (line->json) {
		json_t *sections = json_array();
		for (size_t i = 0; i < list->n_sections; i++)
			json_array_append_new(sections, section_json(list->sections[i]));
		show_json(json_pack("{s:s, s:o}", "default_mode", mode, "sections", sections));
		return CLI_DONE;
	}
	printf("default mode %s\n%-11s %5s %7s %8s %8s  %-20s %s\n", mode, "mode", "rules", "dry run", "sidecars",
		"in force", "source", "workload");
	for (size_t i = 0; i < list->n_sections; i++)
		print_section(list->sections[i]);
	return CLI_DONE;
}
