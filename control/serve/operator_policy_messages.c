/* PolicyShow and PolicyList. */
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "control/serve/operator_messages.h"
#include "proto/handfast/v1/operator.pb-c.h"

enum { WARNINGS_MAX = 1000 };

enum err policy_show_request_parse(struct span bytes, struct spiffe_id *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__policy_show_request__descriptor, bytes, &arena, &unpacked, why));
	return spiffe_id_parse(pb_span(((const Handfast__V1__PolicyShowRequest *)unpacked)->id), out, why);
}

enum err policy_show_encode(const struct policy_answer *answer, struct buf *out)
{
	Handfast__V1__PolicyShowResponse message = HANDFAST__V1__POLICY_SHOW_RESPONSE__INIT;
	message.trust_domain = pb_bytes(span_of_str(answer->trust_domain));
	message.policy = pb_bytes(answer->policy);
	message.num_sidecars = answer->num_sidecars;
	message.num_in_force = answer->num_in_force;
	return pb_pack(&message.base, out);
}

static const char *mode_text(enum port_mode mode)
{
	static const char *const texts[] = {"off", "permissive", "strict"};
	return texts[mode];
}

static void section_fill_workload(const struct config_workload *workload, Handfast__V1__PolicySection *out)
{
	out->selector = pb_bytes(span_of_str(workload->identity));
	out->prefix = workload->prefix;
	if (workload->has_mode)
		out->mode = pb_bytes(span_of_str(mode_text(workload->mode)));
	out->num_port_modes = (uint32_t)workload->num_ports;
	out->num_rules = (uint32_t)workload->num_rules;
	for (size_t i = 0; i < workload->num_rules; i++)
		out->num_dry_run_rules += workload->rules[i].dry_run;
}

/* out->accounts is to be freed. */
static void section_fill(const struct policy_section *section, Handfast__V1__PolicySection *out)
{
	handfast__v1__policy_section__init(out);
	if (section->workload != NULL)
		section_fill_workload(section->workload, out);
	out->num_sidecars = section->num_sidecars;
	out->num_in_force = section->num_in_force;
	if (section->object != NULL)
		out->object = pb_bytes(span_of_str(section->object));
	if (section->refusal != NULL)
		out->refusal = pb_bytes(span_of_str(section->refusal));
	out->accounts = mem_calloc(section->num_accounts + 1, sizeof(*out->accounts));
	for (size_t i = 0; i < section->num_accounts; i++)
		out->accounts[out->n_accounts++] = pb_bytes(span_of_str(section->accounts[i]));
}

static struct policy_section *section_add(struct policy_list *list)
{
	list->sections = mem_realloc(list->sections, (list->num_sections + 1) * sizeof(*list->sections));
	struct policy_section *section = &list->sections[list->num_sections++];
	*section = (struct policy_section){0};
	return section;
}

void policy_list_add_section(struct policy_list *list, const struct config_workload *workload)
{
	section_add(list)->workload = workload;
}

void policy_list_add_object(struct policy_list *list, const struct policy_listed *object)
{
	char text[640];
	struct policy_section *section = section_add(list);
	section->workload = object->workload;
	section->num_sidecars = object->num_sidecars;
	section->num_in_force = object->num_in_force;
	section->object = mem_strdup(object->name);
	if (object->refusal->err != ERR_NONE)
		section->refusal = mem_strdup(why_format(object->refusal, text, sizeof text));
	section->accounts = mem_calloc(object->num_accounts + 1, sizeof(*section->accounts));
	for (size_t i = 0; i < object->num_accounts; i++)
		section->accounts[section->num_accounts++] = mem_strdup(object->accounts[i]);
}

static void section_done(struct policy_section *section)
{
	for (size_t i = 0; i < section->num_accounts; i++)
		mem_free(section->accounts[i]);
	mem_free(section->accounts);
	mem_free(section->object);
	mem_free(section->refusal);
}

struct policy_list_warning {
	char *selector, *kind;
	struct why detail;
};

void policy_list_add_warning(struct policy_list *list, const char *selector, const char *kind, const struct why *why)
{
	if (list->num_warnings == WARNINGS_MAX) {
		list->num_more_warnings++;
		return;
	}
	list->warnings = mem_realloc(list->warnings, (list->num_warnings + 1) * sizeof(*list->warnings));
	list->warnings[list->num_warnings++] =
		(struct policy_list_warning){mem_strdup(selector), mem_strdup(kind), *why};
}

void policy_list_done(struct policy_list *list)
{
	for (size_t i = 0; i < list->num_warnings; i++) {
		mem_free(list->warnings[i].selector);
		mem_free(list->warnings[i].kind);
	}
	mem_free(list->warnings);
	for (size_t i = 0; i < list->num_sections; i++)
		section_done(&list->sections[i]);
	mem_free(list->sections);
}

static void warning_fill(const struct policy_list_warning *warning, Handfast__V1__PolicyWarning *out)
{
	handfast__v1__policy_warning__init(out);
	out->selector = pb_bytes(span_of_str(warning->selector));
	out->kind = pb_bytes(span_of_str(warning->kind));
	out->detail = pb_bytes(span_of_str(warning->detail.got));
	out->expected = pb_bytes(span_of_str(warning->detail.expected));
	out->fix = pb_bytes(span_of_str(warning->detail.fix));
}

/* A list that is cut has the number of those that are left out. */
static void warn_of_more(struct policy_list *list)
{
	struct why why;
	if (list->num_more_warnings == 0)
		return;
	(void)why_set(&why, ERR_CONFIG, "at most 1000 warnings",
		"correct those that are shown, then run the command again", "%zu more warnings are not shown",
		list->num_more_warnings);
	list->warnings = mem_realloc(list->warnings, (list->num_warnings + 1) * sizeof(*list->warnings));
	list->warnings[list->num_warnings++] =
		(struct policy_list_warning){mem_strdup("policy"), mem_strdup("more"), why};
	list->num_more_warnings = 0;
}

enum err policy_list_encode(struct policy_list *list, struct buf *out)
{
	warn_of_more(list);
	Handfast__V1__PolicyListResponse message = HANDFAST__V1__POLICY_LIST_RESPONSE__INIT;
	Handfast__V1__PolicySection *rows = mem_calloc(list->num_sections + 1, sizeof(*rows));
	Handfast__V1__PolicyWarning *warnings = mem_calloc(list->num_warnings + 1, sizeof(*warnings));
	message.sections = mem_calloc(list->num_sections + 1, sizeof(*message.sections));
	message.warnings = mem_calloc(list->num_warnings + 1, sizeof(*message.warnings));
	for (size_t i = 0; i < list->num_sections; i++) {
		section_fill(&list->sections[i], &rows[i]);
		message.sections[message.n_sections++] = &rows[i];
	}
	for (size_t i = 0; i < list->num_warnings; i++) {
		warning_fill(&list->warnings[i], &warnings[i]);
		message.warnings[message.n_warnings++] = &warnings[i];
	}
	message.default_mode = pb_bytes(span_of_str(mode_text(list->default_mode)));
	enum err err = pb_pack(&message.base, out);
	for (size_t i = 0; i < list->num_sections; i++)
		mem_free(rows[i].accounts);
	mem_free(message.warnings);
	mem_free(message.sections);
	mem_free(warnings);
	mem_free(rows);
	return err;
}
