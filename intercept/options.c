#include "intercept/options.h"
#include "base/core/check.h"
#include "base/core/number.h"
#include "base/core/service_link.h"
#include "base/core/version.h"
#include "base/sandbox/sandbox.h"
#include "base/settings/command_line/library_version.h"
#include <jansson.h>
#include <stdio.h>

#define ENVIRONMENT_PREFIX "HANDFAST_INIT_"
#define CONFIRM_WITHIN_S   60
#define CONFIRM_MAX_S      3600
#define ITEM_MAX           64 /* longer than any port or network */

/* Parses a value, or reports what is wrong with it. `name` is the flag or variable as the operator wrote it. */
struct parser {
	struct options *options;
	struct command_line *line; /* collects the errors */
	bool has_confirm_within;
};
typedef void take_fn(struct parser *parser, const char *name, const char *value);

static void error(struct parser *parser, const char *name, const char *expected, const char *got)
{
	command_line_error(parser->line, name, expected, got);
}

/* Copies the next item of a comma-separated list into item[ITEM_MAX]; false at its end. An item that is too long is cut
 * and so does not parse. */
static bool next_item(const char **rest, char item[ITEM_MAX])
{
	if (*rest == NULL)
		return false;
	const char *comma = strchr(*rest, ',');
	int len = comma == NULL ? (int)strlen(*rest) : (int)(comma - *rest);
	snprintf(item, ITEM_MAX, "%.*s", len, *rest);
	*rest = comma == NULL ? NULL : comma + 1;
	return true;
}

/* Every item of a list is checked, so that all errors are reported at once. */
static void take_ports(struct parser *parser, const char *name, const char *value, bool inbound, struct port_list *list)
{
	char item[ITEM_MAX];
	uint16_t port;
	while (next_item(&value, item)) {
		if (port_parse(span_of_str(item), &port) != ERR_NONE)
			error(parser, name, "ports 1 to 65535, separated by commas", item);
		else if (inbound && (port == RULES_OUTBOUND_PORT || port == RULES_INBOUND_PORT))
			error(parser, name, "no port of the sidecar", item);
		else if (list->num == RULES_MAX_GIVEN || port_list_add(list, port) != ERR_NONE)
			error(parser, name, "at most 60 different ports", item);
	}
}

static void take_inbound_ports(struct parser *parser, const char *name, const char *value)
{
	take_ports(parser, name, value, true, &parser->options->rules.exclude_inbound);
}

static void take_outbound_ports(struct parser *parser, const char *name, const char *value)
{
	take_ports(parser, name, value, false, &parser->options->rules.exclude_outbound);
}

static void take_networks(struct parser *parser, const char *name, const char *value)
{
	char item[ITEM_MAX];
	struct network network;
	while (next_item(&value, item)) {
		if (network_parse(span_of_str(item), &network) != ERR_NONE)
			error(parser, name, "networks such as 192.0.2.0/24 or 2001:db8::/32, no host bits set", item);
		else if (rules_add_network(&parser->options->rules, &network) != ERR_NONE)
			error(parser, name, "at most 64 networks", item);
	}
}

static void take_profile(struct parser *parser, const char *name, const char *value)
{
	if (strcmp(value, "pod") == 0)
		parser->options->profile = PROFILE_POD;
	else if (strcmp(value, "host") == 0)
		parser->options->profile = PROFILE_HOST;
	else
		error(parser, name, "pod or host", value);
}

static void take_mode(struct parser *parser, const char *name, const char *value)
{
	if (strcmp(value, "redirect") != 0 && strcmp(value, "tproxy") != 0)
		error(parser, name, "redirect or tproxy", value);
	parser->options->rules.keeps_source = strcmp(value, "tproxy") == 0;
}

/* With the unit, as durations of the other programs have it, or without. */
static void take_confirm_within(struct parser *parser, const char *name, const char *value)
{
	size_t len = strlen(value);
	uint64_t seconds = 0;
	if (len > 1 && value[len - 1] == 's')
		len--;
	if (number_parse(span_of(value, len), CONFIRM_MAX_S, &seconds) == ERR_NONE && seconds > 0)
		parser->options->confirm_within_s = (unsigned)seconds;
	else
		error(parser, name, "seconds such as 60s, 1 to 3600", value);
	parser->has_confirm_within = true;
}

static void take_output(struct parser *parser, const char *name, const char *value)
{
	if (strcmp(value, "text") != 0 && strcmp(value, "json") != 0)
		error(parser, name, "text or json", value);
	parser->line->json = strcmp(value, "json") == 0;
}

static take_fn *take_of(const char *key)
{
	static const struct {
		const char *key;
		take_fn *take;
	} options[] = {
		{"exclude_inbound_ports", take_inbound_ports},
		{"exclude_outbound_ports", take_outbound_ports},
		{"exclude_outbound_networks", take_networks},
		{"mode", take_mode},
		{"profile", take_profile},
		{"confirm_within", take_confirm_within},
		{"output", take_output},
	};
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (strcmp(options[i].key, key) == 0)
			return options[i].take;
	CHECK_UNREACHABLE(); /* a row of settings.def that nothing takes */
}

static const struct setting_def ROWS[] = {
#define SETTING SETTING_DEF
#include "intercept/settings.def"
#undef SETTING
};

static const struct setting_renamed renamed[] = {
#define RENAMED(old_key, new_key) {old_key, new_key},
#include "intercept/renamed_settings.def"
#undef RENAMED
	{NULL, NULL},
};

const struct setting_table init_settings = {"HANDFAST_INIT", ROWS, sizeof(ROWS) / sizeof(ROWS[0]), renamed};

static const struct cli_flag FLAGS[] = {
	{"dry-run", NULL, "up, down: print what would be done and change nothing", false},
};

static const struct cli_command COMMANDS[] = {
#define COMMAND(words, arguments, help, command) {words, arguments, help},
#include "intercept/commands.def"
#undef COMMAND
};
static const enum command COMMAND_OF[] = {
#define COMMAND(words, arguments, help, command) command,
#include "intercept/commands.def"
#undef COMMAND
};

static void put_versions(struct buf *out)
{
	LIBRARY_PUT_JANSSON(out);
	LIBRARY_PUT_SECCOMP(out);
}

const struct cli_program options_program = {.name = "handfast-init",
	.about = "Writes, checks and removes the rules of one network namespace that send a workload's TCP traffic\n"
		 "through its sidecar.",
	.commands = COMMANDS,
	.num_commands = sizeof(COMMANDS) / sizeof(COMMANDS[0]),
	.flags = FLAGS,
	.num_flags = sizeof(FLAGS) / sizeof(FLAGS[0]),
	.settings = &init_settings,
	.release = HANDFAST_VERSION,
	.put_versions = put_versions};

/* As flags are usually written. */
static void flag_name(const char *key, char out[ITEM_MAX])
{
	snprintf(out, ITEM_MAX, "--%s", key);
	for (char *at = out; *at != '\0'; at++)
		if (*at == '_')
			*at = '-';
}

static void take_flags(struct parser *parser)
{
	for (size_t i = 0; i < init_settings.num_rows; i++) {
		const char *key = init_settings.rows[i].key, *value = command_line_setting(parser->line, key);
		char name[ITEM_MAX];
		flag_name(key, name);
		if (value != NULL)
			take_of(key)(parser, name, value);
	}
	parser->options->dry_run = command_line_has(parser->line, "dry-run");
}

static bool is_given(const struct command_line *line, const char *key)
{
	return command_line_setting(line, key) != NULL || command_line_value(line, key) != NULL;
}

/* A variable of our prefix that is no setting: the name of 0.1.0 is an error, any other is noted. */
static void take_unknown(struct parser *parser, const char *name, const char *rest)
{
	const struct setting_renamed *row = setting_renamed_find_variable(init_settings.renamed, rest);
	char expected[80];
	if (row != NULL) {
		snprintf(expected, sizeof(expected), "the setting %s", row->new_key);
		command_line_error_text(parser->line, name, expected, "this is its name in 0.1.0");
	} else if (parser->options->num_unknown_variables++ == 0) {
		snprintf(parser->options->unknown_variable, sizeof(parser->options->unknown_variable), "%s", name);
	}
}

static void take_variable(struct parser *parser, const char *variable)
{
	const char *rest = variable + strlen(ENVIRONMENT_PREFIX), *equals = strchr(rest, '=');
	size_t len = equals == NULL ? strlen(rest) : (size_t)(equals - rest);
	char name[VARIABLE_MAX];
	snprintf(name, sizeof(name), ENVIRONMENT_PREFIX "%.*s", (int)len, rest);
	if (service_link_is(name + strlen(ENVIRONMENT_PREFIX), equals == NULL ? "" : equals + 1))
		return;
	const struct setting_def *def =
		equals == NULL ? NULL : setting_table_find_variable(&init_settings, name + strlen(ENVIRONMENT_PREFIX));
	if (def != NULL) {
		if (!is_given(parser->line, def->key) && equals[1] != '\0')
			take_of(def->key)(parser, name, equals + 1);
		return;
	}
	take_unknown(parser, name, name + strlen(ENVIRONMENT_PREFIX));
}

enum err options_read(struct command_line *line, char *const *environment, struct options *out)
{
	struct options options = {.confirm_within_s = CONFIRM_WITHIN_S};
	struct parser parser = {.options = &options, .line = line};
	take_flags(&parser);
	for (; *environment != NULL; environment++) {
		if (span_starts_with(span_of_str(*environment), SPAN_LITERAL(ENVIRONMENT_PREFIX)))
			take_variable(&parser, *environment);
	}
	if (parser.has_confirm_within && options.profile != PROFILE_HOST)
		command_line_error_text(line, "--confirm-within",
			"it with --profile host, the only one that waits for `confirm`",
			"it is given with another profile");
	if (buf_len(&line->errors) > 0)
		return ERR_CONFIG;
	_Static_assert(
		sizeof(COMMANDS) / sizeof(COMMANDS[0]) == sizeof(COMMAND_OF) / sizeof(COMMAND_OF[0]), "one each");
	CHECK(line->command >= COMMANDS && line->command < COMMANDS + sizeof(COMMANDS) / sizeof(COMMANDS[0]));
	options.command = COMMAND_OF[line->command - COMMANDS];
	options.json = line->json;
	options.rules.exempt_ssh = options.profile == PROFILE_HOST;
	*out = options;
	return ERR_NONE;
}
