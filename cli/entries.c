/* entry create, entry list, entry show, entry delete: attestation entries. */
#include "base/core/escape.h"
#include "base/pb/unpack.h"
#include "base/settings/settings.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/identity_text.h"
#include "cli/show.h"
#include "proto/handfast/v1/operator.pb-c.h"
#include <stdio.h>

#define TTL_MAX_MS (7ull * 86400 * 1000)

static void fill_entry(
	struct command_line *line, Handfast__V1__Entry *entry, ProtobufCBinaryData selectors[COMMAND_VALUES_MAX])
{
	uint64_t ttl_ms = 0;
	const char *name = command_argument(line, "one name for the entry");
	const char *id = command_line_value(line, "id"), *ttl = command_line_value(line, "ttl");
	if (name != NULL)
		entry->name = pb_bytes(span_of_str(name));
	if (id == NULL)
		command_line_error_text(
			line, "--id", "the identity that the entry gives, spiffe://TD/PATH", "no identity is given");
	else
		identity_read(line, "--id", id, NULL);
	entry->id = pb_bytes(span_of_str(id == NULL ? "" : id));
	if (ttl != NULL &&
		(duration_parse(span_of_str(ttl), &ttl_ms) != ERR_NONE || ttl_ms < 2000 || ttl_ms > TTL_MAX_MS))
		command_line_error(line, "--ttl", "a duration of 2s to 7d", ttl);
	entry->ttl_seconds = (uint32_t)(ttl_ms / 1000);
	entry->selectors = selectors;
	entry->n_selectors = command_values(line, "selector", selectors);
	if (entry->n_selectors == 0)
		command_line_error_text(
			line, "--selector", "what the workload must prove, such as unix:uid:1000", "none is given");
}

enum cli_exit command_entry_create(struct command_line *line)
{
	Handfast__V1__EntryCreateRequest request = HANDFAST__V1__ENTRY_CREATE_REQUEST__INIT;
	Handfast__V1__Entry entry = HANDFAST__V1__ENTRY__INIT;
	ProtobufCBinaryData selectors[COMMAND_VALUES_MAX];
	_cleanup_(answer_done) struct answer answer = {0};
	fill_entry(line, &entry, selectors);
	if (buf_len(&line->errors) > 0)
		return command_line_refuse(line);
	request.entry = &entry;
	enum err err =
		call(line, "EntryCreate", &request.base, &handfast__v1__entry_create_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	if (line->json)
		show_json(json_pack("{s:b}", "created", true));
	else
		puts("created");
	return CLI_DONE;
}

/* --- list, show --- */

static json_t *entry_json(const Handfast__V1__Entry *entry)
{
	char name[80], id[2304], selector[600];
	json_t *selectors = json_array();
	for (size_t i = 0; i < entry->n_selectors; i++) {
		escape_ascii(pb_span(entry->selectors[i]), selector, sizeof selector);
		json_array_append_new(selectors, json_string(selector));
	}
	escape_ascii(pb_span(entry->name), name, sizeof name);
	escape_ascii(pb_span(entry->id), id, sizeof id);
	return json_pack("{s:s, s:s, s:o, s:i, s:s}", "name", name, "id", id, "selectors", selectors, "ttl_seconds",
		(int)entry->ttl_seconds, "from", entry->in_settings ? "settings" : "store");
}

static void print_entry(const json_t *entry)
{
	char name[80], id[2304], from[16];
	const json_t *selectors = json_object_get(entry, "selectors");
	long long ttl_s = json_integer_value(json_object_get(entry, "ttl_seconds"));
	printf("%s  %s  ", show_text(entry, "name", name, sizeof name), show_text(entry, "id", id, sizeof id));
	for (size_t i = 0; i < json_array_size(selectors); i++)
		printf("%s%s", i == 0 ? "" : ",", json_string_value(json_array_get(selectors, i)));
	if (ttl_s > 0)
		printf("  for %llds", ttl_s);
	printf("  (%s)\n", show_text(entry, "from", from, sizeof from));
}

/* only NULL: all. Returns the entries; err in *out_err. */
static json_t *fetch(struct command_line *line, const char *only, struct answer *answer, enum err *out_err)
{
	*out_err = call(line, "EntryList", NULL, &handfast__v1__entry_list_response__descriptor, answer);
	if (*out_err != ERR_NONE)
		return NULL;
	const Handfast__V1__EntryListResponse *list = (const Handfast__V1__EntryListResponse *)answer->message;
	json_t *entries = json_array();
	for (size_t i = 0; i < list->n_entries; i++)
		if (only == NULL || span_eq(pb_span(list->entries[i]->name), span_of_str(only)))
			json_array_append_new(entries, entry_json(list->entries[i]));
	return entries;
}

enum cli_exit command_entry_list(struct command_line *line)
{
	_cleanup_(answer_done) struct answer answer = {0};
	enum err err;
	json_t *entries = fetch(line, NULL, &answer, &err);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	for (size_t i = 0; !line->json && i < json_array_size(entries); i++)
		print_entry(json_array_get(entries, i));
	if (line->json)
		show_json(json_pack("{s:O}", "entries", entries));
	else if (json_array_size(entries) == 0)
		puts("no entries");
	json_decref(entries);
	return CLI_DONE;
}

enum cli_exit command_entry_show(struct command_line *line)
{
	_cleanup_(answer_done) struct answer answer = {0};
	const char *name = command_argument(line, "one entry's name, as `handfast entry list` shows it");
	enum err err;
	if (buf_len(&line->errors) > 0)
		return command_line_refuse(line);
	json_t *entries = fetch(line, name, &answer, &err);
	if (err == ERR_NONE && json_array_size(entries) == 0)
		err = why_set(&answer.detail, ERR_REFUSED, "an entry of that name", "see `handfast entry list`",
			"there is no entry %s", name);
	if (err == ERR_NONE && line->json)
		show_json(json_incref(json_array_get(entries, 0)));
	else if (err == ERR_NONE)
		print_entry(json_array_get(entries, 0));
	json_decref(entries);
	return err == ERR_NONE ? CLI_DONE : command_line_fail(line, err, &answer.detail);
}

/* --- delete --- */

enum cli_exit command_entry_delete(struct command_line *line)
{
	Handfast__V1__EntryDeleteRequest request = HANDFAST__V1__ENTRY_DELETE_REQUEST__INIT;
	_cleanup_(answer_done) struct answer answer = {0};
	const char *name = command_argument(line, "one entry's name, as `handfast entry list` shows it");
	if (buf_len(&line->errors) > 0)
		return command_line_refuse(line);
	request.name = pb_bytes(span_of_str(name));
	enum err err =
		call(line, "EntryDelete", &request.base, &handfast__v1__entry_delete_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	if (line->json)
		show_json(json_pack("{s:b}", "deleted", true));
	else
		puts("deleted; its sidecars get no further certificate by it");
	return CLI_DONE;
}
