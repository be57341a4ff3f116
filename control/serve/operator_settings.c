#include "control/serve/operator_settings.h"

#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "base/settings/setting_table.h"
#include "proto/handfast/v1/operator.pb-c.h"
#include <stdio.h>
#include <string.h>

static ProtobufCBinaryData bytes_of(const char *text)
{
	return pb_bytes(span_of_str(text == NULL ? "" : text));
}

static void fill(Handfast__V1__Setting *setting, const struct setting_row *row)
{
	handfast__v1__setting__init(setting);
	setting->key = bytes_of(row->key);
	setting->value = bytes_of(row->value);
	setting->from = bytes_of(setting_from_text(row->from));
	setting->origin = bytes_of(row->origin);
	setting->waits_for_restart = row->waits;
	setting->after_restart = bytes_of(row->next);
}

/* The only number that the control plane computes. */
static bool is_computed(const struct setting_row *row)
{
	return row->value != NULL && strcmp(row->value, SETTING_AUTOMATIC) == 0 &&
	       strcmp(row->key, "limits.max_connections") == 0;
}

enum err operator_settings_encode(const struct settings_record *record, uint32_t max_connections, struct buf *out)
{
	char computed[16];
	snprintf(computed, sizeof computed, "%u", max_connections);
	Handfast__V1__SettingsResponse message = HANDFAST__V1__SETTINGS_RESPONSE__INIT;
	_cleanup_(mem_freep) Handfast__V1__Setting *rows = mem_calloc(record->num, sizeof *rows);
	_cleanup_(mem_freep) Handfast__V1__Setting **pointers = mem_calloc(record->num, sizeof *pointers);
	for (size_t i = 0; i < record->num; i++) {
		struct setting_row row = record->rows[i];
		if (is_computed(&row)) {
			row.value = computed;
			row.origin = (char *)(uintptr_t) "the limit of descriptors (RLIMIT_NOFILE)";
		}
		fill(&rows[i], &row);
		pointers[i] = &rows[i];
	}
	message.settings = pointers;
	message.n_settings = record->num;
	return pb_pack(&message.base, out);
}
