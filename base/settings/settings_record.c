#include "base/settings/settings_record.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include <string.h>

const char *setting_from_text(enum setting_from from)
{
	switch (from) {
	case SETTING_FROM_FILE:
		return "file";
	case SETTING_FROM_ENVIRONMENT:
		return "environment";
	case SETTING_FROM_FLAG:
		return "flag";
	case SETTING_FROM_DEFAULT:
		return "default";
	}
	CHECK_UNREACHABLE();
}

struct settings_record *settings_record_new(void)
{
	return mem_new(struct settings_record);
}

void settings_record_free(struct settings_record *record)
{
	if (record == NULL)
		return;
	for (size_t i = 0; i < record->num; i++) {
		mem_free(record->rows[i].key);
		mem_free(record->rows[i].value);
		mem_free(record->rows[i].origin);
		mem_free(record->rows[i].next);
	}
	mem_free(record->rows);
	mem_free(record);
}

void settings_record_add(struct settings_record *record, const struct setting_row *row)
{
	if ((record->num & (record->num - 1)) == 0) /* a power of two is full */
		record->rows = mem_realloc(
			record->rows, (record->num == 0 ? 1 : 2 * record->num) * sizeof(struct setting_row));
	record->rows[record->num++] = (struct setting_row){
		.key = mem_strdup(row->key),
		.value = row->value == NULL ? NULL : mem_strdup(row->value),
		.origin = mem_strdup(row->origin),
		.from = row->from,
		.waits = row->waits,
		.next = row->next == NULL ? NULL : mem_strdup(row->next),
	};
}

const struct setting_row *settings_record_find(const struct settings_record *record, const char *key)
{
	for (size_t i = 0; i < record->num; i++)
		if (strcmp(record->rows[i].key, key) == 0)
			return &record->rows[i];
	return NULL;
}

bool setting_row_has_value_of(const struct setting_row *one, const struct setting_row *other)
{
	if (one->value == NULL || other->value == NULL)
		return one->value == other->value;
	return strcmp(one->value, other->value) == 0;
}

const struct setting_row *settings_record_search(const struct settings_record *record, size_t *at, const char *key)
{
	for (size_t i = 0; i < record->num; i++) {
		const struct setting_row *row = &record->rows[(*at + i) % record->num];
		if (strcmp(row->key, key) == 0) {
			*at = (*at + i + 1) % record->num;
			return row;
		}
	}
	return NULL;
}

void settings_record_compare(const struct settings_record *old, const struct settings_record *fresh,
	settings_record_change_fn *on_change, void *arg)
{
	size_t at = 0;
	for (size_t i = 0; i < old->num; i++) {
		const struct setting_row *row = settings_record_search(fresh, &at, old->rows[i].key);
		if (row == NULL || !setting_row_has_value_of(&old->rows[i], row))
			on_change(arg, &old->rows[i], row);
	}
	at = 0;
	for (size_t i = 0; i < fresh->num; i++)
		if (settings_record_search(old, &at, fresh->rows[i].key) == NULL)
			on_change(arg, NULL, &fresh->rows[i]);
}
