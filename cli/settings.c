/* settings: the control plane's settings in force, each with where it came from. */
#include "base/core/buf.h"
#include "base/core/escape.h"
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "proto/handfast/v1/operator.pb-c.h"
#include <stdio.h>

/* Shown on a terminal: escaped. */
struct shown {
	char key[300], value[1100], origin[600], next[1100];
};

static void show(const Handfast__V1__Setting *setting, struct shown *out)
{
	escape_ascii(pb_span(setting->key), out->key, sizeof out->key);
	escape_ascii(pb_span(setting->value), out->value, sizeof out->value);
	escape_ascii(pb_span(setting->origin), out->origin, sizeof out->origin);
	escape_ascii(pb_span(setting->after_restart), out->next, sizeof out->next);
}

static json_t *setting_json(const Handfast__V1__Setting *setting, const struct shown *shown)
{
	char from[20];
	escape_ascii(pb_span(setting->from), from, sizeof from);
	json_t *row = json_pack("{s:s, s:s, s:s, s:s}", "key", shown->key, "value", shown->value, "from", from,
		"origin", shown->origin);
	if (setting->waits_for_restart)
		json_object_set_new(row, "after_restart", json_string(shown->next));
	return row;
}

enum cli_exit command_settings(struct command_line *line)
{
	_cleanup_(answer_done) struct answer answer = {0};
	enum err err = call(line, "Settings", NULL, &handfast__v1__settings_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	const Handfast__V1__SettingsResponse *list = (const Handfast__V1__SettingsResponse *)answer.message;
	json_t *settings = json_array();
	for (size_t i = 0; i < list->n_settings; i++) {
		struct shown shown;
		show(list->settings[i], &shown);
		json_array_append_new(settings, setting_json(list->settings[i], &shown));
		if (!line->json)
			printf("%s: %s (%s)%s%s\n", shown.key, shown.value[0] == '\0' ? "none" : shown.value,
				shown.origin, list->settings[i]->waits_for_restart ? "; after a restart: " : "",
				list->settings[i]->waits_for_restart ? shown.next : "");
	}
	if (line->json)
		show_json(json_pack("{s:O}", "settings", settings));
	json_decref(settings);
	return CLI_DONE;
}
