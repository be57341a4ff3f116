#include "base/settings/command_line/program_settings.h"

#include "base/core/check.h"
#include "base/core/log.h"

struct settings *program_settings_read(const struct command_line *line, char *const *environment)
{
	const struct setting_table *table = line->program->settings;
	const char *path = command_line_value(line, "config");
	CHECK(table != NULL);
	struct settings *settings = settings_new(table);
	if (path != NULL)
		settings_read_file(settings, path);
	if (table->former_prefix != NULL)
		settings_read_former_environment(settings, table->former_prefix, environment);
	settings_read_environment(settings, environment);
	for (unsigned i = 0; i < line->num_values; i++)
		if (line->values[i].is_key)
			settings_read_flag(settings, line->values[i].name, line->values[i].text);
	log_lines(LOG_LEVEL_WARNING, "settings", settings_warnings(settings));
	return settings;
}
