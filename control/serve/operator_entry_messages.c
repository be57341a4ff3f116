/* Messages of attestation entries. */
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "control/serve/operator_messages.h"
#include "proto/handfast/v1/operator.pb-c.h"

static enum err copy_entry(const Handfast__V1__Entry *message, struct workload_entry *out, struct why *why)
{
	struct span name = pb_span(message->name);
	RETURN_IF_ERR(workload_entry_name_check(name, why));
	out->name = mem_printf("%.*s", (int)name.len, (const char *)name.ptr);
	out->ttl_s = message->ttl_seconds;
	RETURN_IF_ERR(spiffe_id_parse(pb_span(message->id), &out->id, why));
	for (size_t i = 0; i < message->n_selectors; i++)
		RETURN_IF_ERR(workload_entry_add_selector(out, pb_span(message->selectors[i]), why));
	return ERR_NONE;
}

enum err entry_create_request_parse(struct span bytes, struct workload_entry *out, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__entry_create_request__descriptor, bytes, &arena, &unpacked, why));
	const Handfast__V1__Entry *entry = ((const Handfast__V1__EntryCreateRequest *)unpacked)->entry;
	if (entry == NULL)
		return why_set(
			why, ERR_MALFORMED, "an entry", "name its identity and its selectors", "the request has none");
	return copy_entry(entry, out, why);
}

enum err entry_delete_request_parse(struct span bytes, char out[WORKLOAD_ENTRY_NAME_MAX + 1], struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *unpacked;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__entry_delete_request__descriptor, bytes, &arena, &unpacked, why));
	struct span name = pb_span(((const Handfast__V1__EntryDeleteRequest *)unpacked)->name);
	RETURN_IF_ERR(workload_entry_name_check(name, why));
	memcpy(out, name.ptr, name.len);
	out[name.len] = 0;
	return ERR_NONE;
}

struct entry_row {
	Handfast__V1__Entry message;
	ProtobufCBinaryData selectors[WORKLOAD_ENTRY_SELECTORS_MAX];
};
struct entry_list {
	struct entry_row **rows; /* each of its own: the messages point into them */
	size_t num, cap;
};

struct entry_list *entry_list_new(void)
{
	return mem_new(struct entry_list);
}

void entry_list_free(struct entry_list *list)
{
	for (size_t i = 0; i < list->num; i++)
		mem_free(list->rows[i]);
	mem_free(list->rows);
	mem_free(list);
}

void entry_list_add(struct entry_list *list, const struct workload_entry *entry, bool is_stored)
{
	struct entry_row *row = mem_new(struct entry_row);
	handfast__v1__entry__init(&row->message);
	row->message.name = pb_bytes(span_of_str(entry->name));
	row->message.id = pb_bytes(spiffe_id_text(&entry->id));
	row->message.ttl_seconds = (uint32_t)entry->ttl_s;
	row->message.in_settings = !is_stored;
	row->message.selectors = row->selectors;
	row->message.n_selectors = entry->selectors.num;
	for (size_t i = 0; i < entry->selectors.num; i++)
		row->selectors[i] = pb_bytes(span_of_str(entry->selectors.texts[i]));
	if (list->num == list->cap) {
		list->cap = list->cap == 0 ? 64 : 2 * list->cap;
		list->rows = mem_realloc(list->rows, list->cap * sizeof *list->rows);
	}
	list->rows[list->num++] = row;
}

enum err entry_list_encode(const struct entry_list *list, struct buf *out)
{
	Handfast__V1__EntryListResponse message = HANDFAST__V1__ENTRY_LIST_RESPONSE__INIT;
	_cleanup_(mem_freep) Handfast__V1__Entry **entries = mem_calloc(list->num + 1, sizeof *entries);
	for (size_t i = 0; i < list->num; i++)
		entries[i] = &list->rows[i]->message;
	message.entries = entries;
	message.n_entries = list->num;
	return pb_pack(&message.base, out);
}
